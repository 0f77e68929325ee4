//! The story: each step does what a command line says, waits for what it leads to, and checks it.

use std::time::Duration;

use super::compare::{self, Difference};
use super::fleet::FLEET;
use super::halt::Halt;
use super::page::{Page, Tone};
use super::profiles::{HIRE_PARTNER, INSURER, NARROWED, NARROWED_BY, WORKSHOP};
use super::stage::{Arrival, READERS, Stage};
use crate::clock::{BootTime, Clock, SystemClock};
use crate::id::Offset;
use crate::json::document;
use crate::time::TimestampMs;

/// How many further records of others show that somebody gets none.
const ENOUGH: usize = 40;
/// So long after its update the repair share ends.
const REPAIR_LASTS_MS: i64 = 1_500;

/// What is told, and on what.
pub(super) struct Story<'s> {
    /// Printed to.
    pub(super) page: &'s mut Page,
    /// Played on.
    pub(super) stage: &'s mut Stage,
}

impl Story<'_> {
    /// Tells all of it; an error is the first thing that did not come true.
    pub(super) fn tell(mut self) -> Result<(), Halt> {
        self.nothing_is_shared()?;
        self.an_offer()?;
        self.an_acceptance()?;
        self.one_record_three_readers()?;
        self.a_profile_is_narrowed()?;
        self.a_revoke()?;
        self.an_expiry()?;
        self.nothing_leaked()
    }

    /// Offers that wait in the console for whoever looks.
    pub(super) fn offer_again(self) -> Result<(), Halt> {
        let offer = "sharecast share offer --as northwind --to acme --streams telemetry --profile hire-partner";
        for machine in ["--asset NW-31 --label Telehandler --share rental-31", "--asset NW-7 --label Excavator --share rental-8"] {
            self.stage.act(&format!("{offer} {machine}"))?;
        }
        Ok(())
    }

    fn nothing_is_shared(&mut self) -> Result<(), Halt> {
        self.page.step("Nothing is shared, so nothing leaves");
        self.stage.until("the engine reads the raw topic", |stage| (records_in(stage) >= 30).then_some(()))?;
        let (read, released) = (records_in(self.stage), records_out(self.stage));
        check(released == 0, || format!("{released} records were released though nothing is shared"))?;
        self.page.seen(&format!("{read} records read from northwind's telemetry.raw, 0 released"));
        Ok(())
    }

    fn an_offer(&mut self) -> Result<(), Halt> {
        self.page.step("northwind offers its excavator NW-7 to acme, which hires it");
        self.command("sharecast partnership establish northwind acme")?;
        self.command(&format!("sharecast profile publish --as northwind hire-partner {HIRE_PARTNER}"))?;
        let offer = "sharecast share offer --as northwind --asset NW-7 --to acme --target-asset ACME-EX-1 --streams telemetry \
                     --profile hire-partner --share rental-7";
        let offered = self.command(offer)?;
        self.state("acme", "rental-7", "PENDING", offered)?;
        let held = records_in(self.stage) + ENOUGH as u64;
        self.stage.until("the engine reads on", |stage| (records_in(stage) >= held).then_some(()))?;
        let pending = self.stage.metric("sharecast_suppressed_total", r#"reason="pending""#);
        check(pending > 0 && records_out(self.stage) == 0, || "something flowed before the acceptance".into())?;
        self.page.seen("acme sees the offer in share.acme.shares: rental-7 is PENDING");
        self.page.seen(&format!("an offer releases nothing: {pending} records of NW-7 held back since, reason \"pending\""));
        Ok(())
    }

    fn an_acceptance(&mut self) -> Result<(), Halt> {
        self.page.step("acme accepts");
        let accepted = self.command("sharecast share accept rental-7 --as acme")?;
        let since = SystemClock.boot();
        self.state("acme", "rental-7", "ACTIVE", accepted)?;
        let first = self.stage.until("acme's first record", |stage| {
            let first = stage.seen.iter().find(|arrival| is_of(arrival, "acme"))?;
            Some((first.at, first.key.clone(), first.epoch))
        })?;
        check(first.1 == "ACME-EX-1", || format!("acme's record has the key {}", first.1))?;
        check(first.2 >= accepted, || "acme got a record that was released before its acceptance".into())?;
        let after_ms = first.0.since(since).as_millis();
        self.page.seen(&format!("share.acme.telemetry has its first record {after_ms} ms later, under acme's own id ACME-EX-1"));
        Ok(())
    }

    fn one_record_three_readers(&mut self) -> Result<(), Halt> {
        self.page.step("One record, and what three others read of it");
        self.page.say("fixit repairs NW-7, safeco insures it. They agreed to take what is offered: --auto-accept.");
        self.quietly("sharecast partnership establish northwind fixit --auto-accept")?;
        self.quietly("sharecast partnership establish northwind safeco --auto-accept")?;
        self.quietly(&format!("sharecast profile publish --as northwind workshop {WORKSHOP}"))?;
        self.quietly(&format!("sharecast profile publish --as northwind insurer {INSURER}"))?;
        let offer = "sharecast share offer --as northwind --streams telemetry";
        self.command(&format!("{offer} --asset NW-7 --to fixit --target-asset JOB-2041 --profile workshop --share repair-7"))?;
        self.command(&format!("{offer} --asset NW-7 --to safeco --target-asset POL-7731 --profile insurer --share policy-7"))?;
        self.quietly(&format!("{offer} --asset NW-12 --to acme --target-asset ACME-WL-2 --profile hire-partner --share rental-12"))?;
        let last = self.quietly("sharecast share accept rental-12 --as acme")?;
        self.stage.until("all four shares flow", |stage| {
            let flows = |key: &str| stage.seen.iter().any(|arrival| arrival.key == key && arrival.epoch >= last);
            ["ACME-EX-1", "JOB-2041", "POL-7731", "ACME-WL-2"].iter().all(|key| flows(key)).then_some(())
        })?;
        self.page.say("NW-7 reports two faults. What was sent, and what each of them read of it (- is withheld):");
        self.page.line("");
        let sent = self.stage.fault()?;
        let got = self.stage.until("everybody has read the record with the faults", |stage| {
            let with_fault = |tenant: &&str| {
                let found = stage.seen.iter().find(|arrival| is_of(arrival, tenant) && contains(&arrival.value, "FaultCode"))?;
                Some(found.value.clone())
            };
            READERS.iter().map(with_fault).collect::<Option<Vec<_>>>()
        })?;
        let readers: Vec<(&str, &[u8])> = READERS.into_iter().zip(got.iter().map(Vec::as_slice)).collect();
        for line in compare::table(self.page, ("northwind", &sent), &readers) {
            self.page.line(&format!("  {line}"));
        }
        self.page.line("");
        for (tenant, value) in readers {
            check_fields(tenant, &compare::difference(&sent, value))?;
        }
        self.page.seen("each of them read exactly the fields of its profile; driver.badge left in none");
        self.page.aside("acme: serial masked. fixit: hours under its own name. safeco: in steps, the PIN hashed with");
        self.page.aside("a key per reader, severe faults alone. The rules are in config/profiles/*.yaml.");
        Ok(())
    }

    fn a_profile_is_narrowed(&mut self) -> Result<(), Halt> {
        self.page.step("northwind narrows a profile: hirers no longer see the fuel");
        self.page.say(&format!("It takes {} out of the file and publishes it again.", NARROWED_BY.join(" and ")));
        let narrowed = self.command(&format!("sharecast profile publish --as northwind hire-partner {NARROWED}"))?;
        let checked = self.stage.until("acme's records lack the fuel", |stage| {
            let by_now = |key: &str| stage.seen.iter().filter(|arrival| arrival.key == key && arrival.epoch >= narrowed).count();
            let (first, second) = (by_now("ACME-EX-1"), by_now("ACME-WL-2"));
            (first >= ENOUGH / 2 && second >= ENOUGH / 2).then_some(first + second)
        })?;
        let has_fuel = |arrival: &&Arrival| is_of(arrival, "acme") && contains(&arrival.value, "\"Fuel");
        let (mut before, mut after) = (0, 0);
        for arrival in self.stage.seen.iter().filter(has_fuel) {
            *if arrival.epoch >= narrowed { &mut after } else { &mut before } += 1;
        }
        check(after == 0 && before > 0, || format!("{after} records released by the narrower profile show the fuel"))?;
        self.page.seen(&format!("{checked} records since, of both machines that acme hires, none with FuelUsed or FuelRemaining"));
        Ok(())
    }

    fn a_revoke(&mut self) -> Result<(), Halt> {
        self.page.step("northwind takes NW-7 back from acme");
        let revoked = self.command("sharecast share revoke rental-7 --as northwind")?;
        let (acknowledged, acknowledged_at) = (SystemClock.boot(), SystemClock.wall());
        self.state("acme", "rental-7", "REVOKED", revoked)?;
        self.await_others("policy-7 of the same machine flows on", "POL-7731", revoked)?;
        self.await_others("rental-12 of the same hirer flows on", "ACME-WL-2", revoked)?;
        let of_share: Vec<&Arrival> =
            self.stage.seen.iter().filter(|arrival| is_of(arrival, "acme") && arrival.key == "ACME-EX-1").collect();
        let late = of_share.iter().filter(|arrival| arrival.epoch >= revoked).count();
        check(late == 0, || format!("{late} records of the revoked share were released by a graph that has the revoke"))?;
        let last = of_share.last().ok_or_else(|| Halt::broken("acme never got a record"))?;
        let quiet_ms = last.at.since(acknowledged).as_millis();
        let sent_before_ms = acknowledged_at.0 - last.timestamp.0;
        let heading = format!("quiet {quiet_ms} ms after Kafka acknowledged the revoke");
        self.page.seen(&self.page.toned(Tone::Heading, &heading));
        self.page.say(&format!("The last record that acme got was sent by the machine {}.", before_or_after(sent_before_ms)));
        self.page.say(&format!("It names epoch {}, the offset of the control event by which it was released; the revoke is", last.epoch.0));
        self.page.say(&format!("epoch {}. The promise is that no commit is sent later than fence.max_view_age (1 s) after it.", revoked.0));
        self.page.seen(&format!("only this share was cut: {ENOUGH} records and more since, of NW-7 to safeco, of NW-12 to acme"));
        Ok(())
    }

    fn an_expiry(&mut self) -> Result<(), Halt> {
        self.page.step("The repair is done: fixit's share ends by itself");
        let ends = TimestampMs(SystemClock.wall().0 + REPAIR_LASTS_MS);
        let updated = self.command(&format!("sharecast share update repair-7 --as northwind --ends {}", written(ends)))?;
        self.state("fixit", "repair-7", "ACTIVE", updated)?;
        self.stage.until("the moment has passed", |_| (SystemClock.wall() > ends).then_some(()))?;
        let passed = SystemClock.boot();
        self.await_arrivals("policy-7 of the same machine flows on", "POL-7731", passed)?;
        let of_fixit = |stage: &Stage| stage.seen.iter().filter(|arrival| is_of(arrival, "fixit")).map(|arrival| arrival.timestamp).max();
        let last = of_fixit(self.stage).ok_or_else(|| Halt::broken("fixit never got a record"))?;
        check(last < ends, || format!("fixit got a record of {}, though its share ended at {}", written(last), written(ends)))?;
        self.page.seen(&format!("fixit's last record is of {}, {} ms before the end; nobody did anything", time_of(last), ends.0 - last.0));
        let expired = self.state("fixit", "repair-7", "EXPIRED", Offset(updated.0 + 1))?;
        let later_ms = expired.since(passed).as_millis();
        check(of_fixit(self.stage) == Some(last), || "fixit got a record after the end".into())?;
        self.page
            .seen(&format!("the engine itself noted it as EXPIRED {:.1} s later; the cut did not wait for that", later_ms as f64 / 1000.0));
        Ok(())
    }

    /// What must hold of everything that was ever read.
    fn nothing_leaked(&mut self) -> Result<(), Halt> {
        self.stage.read_for(Duration::ZERO);
        for arrival in self.stage.seen.iter().filter(|arrival| arrival.topic.ends_with(".telemetry")) {
            let leaked = ["driver", "B-4411", "B-2093", "NW-", "northwind"].into_iter().find(|text| contains(&arrival.value, text));
            // The workshop reads the equipment header as it is, and with it the owner's number.
            let leaked = leaked.filter(|text| !(is_of(arrival, "fixit") && *text == "NW-"));
            check(leaked.is_none(), || format!("{} in a record of {}", leaked.unwrap_or_default(), arrival.topic))?;
            check(arrival.epoch.0 >= 0, || format!("a record of {} does not say by which epoch it was released", arrival.topic))?;
        }
        let letters = self.stage.metric("sharecast_dead_letters_total", "");
        check(letters == 0, || format!("{letters} dead letters"))
    }

    fn command(&mut self, line: &str) -> Result<Offset, Halt> {
        self.page.command(line);
        self.stage.act(line)
    }

    /// A command that would only repeat what was shown.
    fn quietly(&mut self, line: &str) -> Result<Offset, Halt> {
        self.stage.act(line)
    }

    /// Waits until the tenant's view of its shares shows the state, by the event at `epoch` or a later one.
    fn state(&mut self, tenant: &str, share: &str, state: &str, epoch: Offset) -> Result<BootTime, Halt> {
        let topic = format!("share.{tenant}.shares");
        self.stage.until(&format!("{share} is {state} in {topic}"), |stage| {
            let is_it = |arrival: &&Arrival| {
                *arrival.topic == *topic && arrival.key == share && arrival.epoch >= epoch && has_state(arrival, state)
            };
            stage.seen.iter().find(is_it).map(|arrival| arrival.at)
        })
    }

    /// Waits for enough records under `key` that were released at `epoch` or later.
    fn await_others(&mut self, what: &str, key: &str, epoch: Offset) -> Result<(), Halt> {
        self.stage.until(what, |stage| {
            let count = stage.seen.iter().filter(|arrival| arrival.key == key && arrival.epoch >= epoch).count();
            (count >= ENOUGH).then_some(())
        })
    }

    /// Waits for enough records under `key` that were read after a moment.
    fn await_arrivals(&mut self, what: &str, key: &str, since: BootTime) -> Result<(), Halt> {
        self.stage.until(what, |stage| {
            let count = stage.seen.iter().filter(|arrival| arrival.key == key && arrival.at > since).count();
            (count >= ENOUGH).then_some(())
        })
    }
}

/// What each reader's profile keeps from it in the record with the faults, and what it changes.
fn check_fields(tenant: &str, found: &Difference) -> Result<(), Halt> {
    let (withheld, changed): (&[&str], &[&str]) = match tenant {
        "acme" => (
            &[
                "EquipmentHeader.EquipmentID",
                "EquipmentHeader.PIN",
                "Location.Altitude",
                "Location.AltitudeUnits",
                "Distance.Odometer",
                "Distance.OdometerUnits",
                "FaultCode[0].CodeIdentifier",
                "FaultCode[1].CodeIdentifier",
                "driver.badge",
            ],
            &["tenant", "asset", "EquipmentHeader.SerialNumber", "Location.Latitude", "Location.Longitude"],
        ),
        "fixit" => (
            &["CumulativeOperatingHours.Hour", "FuelRemaining.Percent", "EngineStatus.Running", "driver.badge"],
            &["tenant", "asset", "Location.Latitude", "Location.Longitude", "Location.Altitude", "CumulativeOperatingHours.hours"],
        ),
        _ => (
            &[
                "EquipmentHeader.OEMName",
                "EquipmentHeader.EquipmentID",
                "EquipmentHeader.SerialNumber",
                "Location.Altitude",
                "Location.AltitudeUnits",
                "CumulativeIdleHours.Hour",
                "FuelUsed.FuelUnits",
                "FuelUsed.FuelConsumed",
                "FuelRemaining.Percent",
                "EngineStatus.Running",
                "FaultCode[0].CodeDescription",
                "FaultCode[1].CodeIdentifier",
                "FaultCode[1].CodeDescription",
                "FaultCode[1].CodeSeverity",
                "driver.badge",
            ],
            &[
                "tenant",
                "asset",
                "ts",
                "EquipmentHeader.PIN",
                "Location.datetime",
                "Location.Latitude",
                "Location.Longitude",
                "CumulativeOperatingHours.Hour",
                "Distance.Odometer",
            ],
        ),
    };
    check(found.withheld == withheld, || format!("withheld from {tenant}: {:?}, and not {withheld:?}", found.withheld))?;
    let found: Vec<&str> = found.changed.iter().map(|(path, ..)| path.as_str()).collect();
    check(found == changed, || format!("changed for {tenant}: {found:?}, and not {changed:?}"))
}

fn check(is_true: bool, otherwise: impl FnOnce() -> String) -> Result<(), Halt> {
    if is_true { Ok(()) } else { Err(Halt::Broken(otherwise())) }
}

fn records_in(stage: &Stage) -> u64 {
    stage.metric("sharecast_records_in_total", "")
}

fn records_out(stage: &Stage) -> u64 {
    stage.metric("sharecast_records_out_total", "")
}

/// Whether it is a record of the tenant's telemetry.
pub(in crate::cli) fn is_of(arrival: &Arrival, tenant: &str) -> bool {
    arrival.topic.strip_prefix("share.").and_then(|rest| rest.strip_suffix(".telemetry")) == Some(tenant)
}

fn has_state(arrival: &Arrival, state: &str) -> bool {
    document::parse(&arrival.value).is_ok_and(|node| node.get("state").and_then(|found| found.as_str()) == Some(state))
}

fn contains(value: &[u8], text: &str) -> bool {
    value.windows(text.len()).any(|part| part == text.as_bytes())
}

fn written(time: TimestampMs) -> String {
    let mut text = Vec::new();
    time.moment().write_rfc3339(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn before_or_after(ms: i64) -> String {
    if ms >= 0 { format!("{ms} ms before that") } else { format!("{} ms after that", -ms) }
}

fn time_of(time: TimestampMs) -> String {
    written(time)[11..].trim_end_matches('Z').to_owned()
}

/// The fleet's assets, as one reads them.
pub(super) fn fleet() -> String {
    FLEET.iter().map(|machine| machine.asset).collect::<Vec<_>>().join(", ")
}
