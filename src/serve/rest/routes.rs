//! Every operation with its documentation: there is no route that the document does not have.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};
use utoipa::__dev::SchemaReferences;
use utoipa::openapi::path::{HttpMethod, Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, Content, HeaderBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Response, ResponseBuilder,
    Schema, Server, Type,
};
use utoipa::{Path, ToSchema};

use crate::serve::Serve;
use crate::serve::rest::documents::ProblemDocument;
use crate::serve::rest::{assets, batch, events, invitations, looking, partnerships, profiles, request, shares, tenants};

/// Where all of them begin.
pub const ROOT: &str = "/api/v1";

/// An operation: how it is documented, and who answers it.
struct ApiRoute {
    path: String,
    methods: Vec<HttpMethod>,
    operation: Operation,
    schemas: Vec<(String, RefOr<Schema>)>,
    handler: MethodRouter<Arc<Serve>>,
}

impl ApiRoute {
    fn of<P: Path + SchemaReferences>(handler: MethodRouter<Arc<Serve>>) -> Self {
        let mut schemas = Vec::new();
        P::schemas(&mut schemas);
        Self { path: P::path(), methods: P::methods(), operation: P::operation(), schemas, handler }
    }
}

macro_rules! routes {
    ($($method:ident $module:ident::$name:ident $documented:ident,)*) => {
        vec![$(ApiRoute::of::<$module::$documented>($method($module::$name)),)*]
    };
}

fn all() -> Vec<ApiRoute> {
    routes![
        get shares::list_shares __path_list_shares,
        post shares::offer_share __path_offer_share,
        post batch::write_batch __path_write_batch,
        get shares::show_share __path_show_share,
        post shares::accept_share __path_accept_share,
        post shares::decline_share __path_decline_share,
        post shares::cancel_share __path_cancel_share,
        post shares::resend_share __path_resend_share,
        post shares::update_share __path_update_share,
        post shares::pause_share __path_pause_share,
        post shares::resume_share __path_resume_share,
        post shares::revoke_share __path_revoke_share,
        post shares::leave_share __path_leave_share,
        get shares::stats __path_stats,
        get invitations::list_invitations __path_list_invitations,
        post invitations::invite __path_invite,
        get invitations::invitation_stats __path_invitation_stats,
        post invitations::accept_code __path_accept_code,
        get invitations::show_invitation __path_show_invitation,
        post invitations::cancel_invitation __path_cancel_invitation,
        post invitations::resend_invitation __path_resend_invitation,
        get partnerships::list_partnerships __path_list_partnerships,
        post partnerships::offer_partnership __path_offer_partnership,
        get partnerships::show_partnership __path_show_partnership,
        post partnerships::accept_partnership __path_accept_partnership,
        post partnerships::decline_partnership __path_decline_partnership,
        post partnerships::end_partnership __path_end_partnership,
        get tenants::list_tenants __path_list_tenants,
        post tenants::make_tenant __path_make_tenant,
        get tenants::show_tenant __path_show_tenant,
        post tenants::update_tenant __path_update_tenant,
        get profiles::list_profiles __path_list_profiles,
        post profiles::publish_profile __path_publish_profile,
        get profiles::show_profile __path_show_profile,
        post profiles::retire_profile __path_retire_profile,
        post looking::render_draft __path_render_draft,
        post looking::render_profile __path_render_profile,
        post looking::preview_publication __path_preview_publication,
        get assets::list_assets __path_list_assets,
        post looking::preview __path_preview,
        get looking::explain __path_explain,
        get events::events __path_events,
    ]
}

/// The API, behind what every request goes through, and its document, which needs no token.
pub(crate) fn router(serve: Arc<Serve>) -> Router {
    let api = all().into_iter().fold(Router::new(), |api, route| api.route(&route.path, route.handler));
    let api = api
        .fallback(request::no_route)
        .method_not_allowed_fallback(request::no_method)
        // Bodies are read up to a limit that may change.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(&serve), request::admit))
        .with_state(serve);
    let document = get(async || ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response());
    Router::new().route(&format!("{ROOT}/openapi.json"), document).nest(ROOT, api)
}

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_json().unwrap_or_else(|error| unreachable!("it is data: {error}")));

/// The document as text.
pub fn document_text() -> &'static str {
    &DOCUMENT
}

/// The OpenAPI document.
pub fn document() -> OpenApi {
    let (mut paths, mut components) = (Paths::new(), Components::new());
    for route in all() {
        for (name, schema) in route.schemas {
            components.schemas.entry(name).or_insert(schema);
        }
        let mut operation = route.operation;
        common(&mut operation);
        let item = PathItem::from_http_methods(route.methods, operation);
        let path = format!("{ROOT}{}", route.path);
        match paths.paths.get_mut(&path) {
            Some(known) => known.merge_operations(item),
            None => drop(paths.paths.insert(path, item)),
        }
    }
    let mut problems = Vec::new();
    ProblemDocument::schemas(&mut problems);
    problems.push((ProblemDocument::name().into_owned(), <ProblemDocument as utoipa::PartialSchema>::schema()));
    components.schemas.extend(problems);
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of `sharecast token new`, or of the identity provider"));
    components.security_schemes.insert("token".to_owned(), SecurityScheme::Http(token.build()).into());
    let info = InfoBuilder::new().title("sharecast").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT)).build();
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components))
        .servers(Some([Server::new("/")]))
        .security(Some([SecurityRequirement::new("token", [""; 0])]))
        .build()
}

const ABOUT: &str = "Who shares which machines with whom. Every answer has `X-Sharecast-Epoch`: a read with `min_epoch` waits for it, so that one \
                     server shows what another has written. A write with an `Idempotency-Key` is done once however often it is repeated. What the \
                     caller may not see does not exist: 404.";

/// What each operation may answer besides.
fn common(operation: &mut Operation) {
    let epoch = || {
        HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(Type::Integer)))
            .description(Some("The epoch of the answer"))
            .build()
    };
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.headers.insert("X-Sharecast-Epoch".to_owned(), epoch().into());
        }
    }
    for (status, what) in PROBLEMS {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| problem(what).into());
    }
}

const PROBLEMS: [(&str, &str); 10] = [
    ("400", "The request cannot be understood"),
    ("401", "Who asks is not known"),
    ("403", "The caller may not do this"),
    ("404", "There is nothing of this name, or nothing that the caller may see"),
    ("409", "A rule is broken: see `reason`"),
    ("413", "The body is too long"),
    ("415", "The body is no JSON"),
    ("422", "Members that are marked as critical would leave: it waits for a confirmation"),
    ("429", "Too many requests: see `Retry-After`"),
    ("503", "Nothing can be written or folded at the moment"),
];

fn problem(what: &str) -> Response {
    let schema = Ref::from_schema_name(ProblemDocument::name());
    ResponseBuilder::new().description(what).content("application/problem+json", Content::new(Some(schema))).build()
}

/// Each path and method of the document, for tests that must not forget one.
pub fn operations() -> BTreeMap<String, Vec<&'static str>> {
    let word = |method: &HttpMethod| match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Delete => "DELETE",
        _ => "OTHER",
    };
    let mut operations: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    for route in all() {
        operations.entry(format!("{ROOT}{}", route.path)).or_default().extend(route.methods.iter().map(word));
    }
    operations
}
