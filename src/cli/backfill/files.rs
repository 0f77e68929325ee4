//! A job over files alone (docs/rules/backfill.md#files).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::args::ResultFormat;
use super::lines::LineFile;
use super::progress::{Done, ProgressBar};
use super::report::{JobHead, print_result, tell_head};
use crate::backfill::files::{ControlFile, FileRun};
use crate::backfill::options::{FileJob, FolderOutput, InputFile, JobOptions};
use crate::backfill::past::Pinned;
use crate::backfill::result::JobResult;
use crate::cli::exit::{Exit, Failure, tell};
use crate::cli::output;
use crate::cli::replay::{Folder, make_room};
use crate::cli::signal::on_signal;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::replay::Settings;

/// The clock is looked at, and signals are heard, after so many lines.
const LINES_BETWEEN: u64 = 256;

/// Runs the job: what files there are first (exit 64), then their lines (exit 65, which leaves no output).
pub(super) fn run(config: &Config, job: &JobOptions, source: &FileJob, format: ResultFormat) -> Result<Exit, Failure> {
    let settings = Settings::from(config);
    let mut control = LineFile::open(&source.control)?;
    let mut inputs = source.inputs.iter().map(LineFile::open).collect::<Result<Vec<_>, _>>()?;
    let out = source.out.as_ref().filter(|_| !job.is_dry_run);
    if let Some(FolderOutput { path, is_forced }) = out {
        make_room(path, *is_forced, &paths(source))?;
    }
    let pinned = fold(&mut control, &settings, job, source)?;
    let stream = &config.streams[usize::from(job.stream.0)];
    let (epoch, now, reach) = (pinned.epoch(), pinned.now(), pinned.reach(stream));
    let heard = Arc::new(AtomicU8::new(Exit::Ok as u8));
    let signal = Arc::clone(&heard);
    on_signal(move |exit| signal.store(exit as u8, Ordering::Relaxed))?;
    tell_head(&JobHead {
        job: &source.name,
        stream: stream.name.as_str(),
        window: job.window,
        epoch,
        now,
        reach,
        is_dry_run: job.is_dry_run,
    });
    let mut folder = out.map(|out| Folder::new(&out.path));
    let mut run = FileRun::new(&settings, stream, &pinned, source.name.clone(), job.window, folder.is_some());
    let ended = read_all(&mut inputs, &mut run, folder.as_mut(), &heard);
    let counts = run.counts().clone();
    let exit = match ended {
        Ok(exit) => exit,
        Err(failure) => {
            if let Some(folder) = folder {
                folder.discard().map_err(|e| Failure::new(failure.exit, format!("{failure}\n{}: {e}", shown(out))))?;
            }
            return Err(failure);
        }
    };
    if let Some(offset) = pinned.graph().unreadable_offsets().first() {
        tell!("warning: control offset {offset} could not be understood and was not skipped: nothing is decided, and nothing is written");
    } else if let Some(folder) = &mut folder {
        folder.make().map_err(|e| Failure::new(Exit::Usage, format!("{}: {e}", shown(out))))?;
    }
    if exit != Exit::Ok {
        return Ok(interrupted(exit, counts.read, out));
    }
    let result = JobResult { job: source.name.clone(), epoch, now, counts, stopped: Vec::new(), warnings: Vec::new() };
    output::exit(print_result(&result, format))
}

fn fold(control: &mut LineFile, settings: &Settings, job: &JobOptions, source: &FileJob) -> Result<Pinned, Failure> {
    let mut file = ControlFile::new(settings.fold.clone(), source.at);
    loop {
        match control.next_line()?.map(|line| file.line(line)) {
            None => return Ok(file.pin(&job.filters)),
            Some(Ok(())) => {}
            Some(Err(what)) => return Err(control.bad_line(what)),
        }
    }
}

/// Takes all lines in; a signal ends it early. What is handed over is whole lines.
fn read_all(
    inputs: &mut [LineFile],
    run: &mut FileRun<'_>,
    mut folder: Option<&mut Folder<'_>>,
    heard: &AtomicU8,
) -> Result<Exit, Failure> {
    let total = inputs.iter().map(LineFile::size).sum::<Option<u64>>();
    let mut bar = ProgressBar::begin(SystemClock.boot());
    let mut take = |topic: &str, lines: &[u8]| folder.as_mut().map_or(Ok(()), |folder| folder.append(topic, lines));
    let failed = |e: io::Error| Failure::new(Exit::Usage, format!("output: {e}"));
    let mut bytes_before = 0;
    for input in inputs {
        run.next_file();
        while let Some(line) = input.next_line()? {
            let read = run.line(line);
            read.map_err(|what| input.bad_line(what))?;
            if run.counts().read.is_multiple_of(LINES_BETWEEN) {
                run.hand_over(false, &mut take).map_err(failed)?;
                bar.show(Done { records: run.counts().read, bytes: bytes_before + input.taken(), total }, SystemClock.boot());
                if let Some(exit) = signalled(heard) {
                    bar.clear();
                    run.hand_over(true, &mut take).map_err(failed)?;
                    return Ok(exit);
                }
            }
        }
        bytes_before += input.taken();
    }
    bar.clear();
    run.hand_over(true, &mut take).map_err(failed)?;
    // Who fed standard input may have heard it too, and have ended it.
    Ok(signalled(heard).unwrap_or(Exit::Ok))
}

fn signalled(heard: &AtomicU8) -> Option<Exit> {
    let code = heard.load(Ordering::Relaxed);
    [Exit::Interrupted, Exit::Terminated, Exit::HungUp].into_iter().find(|exit| *exit as u8 == code)
}

fn interrupted(exit: Exit, read: u64, out: Option<&FolderOutput>) -> Exit {
    match out {
        Some(out) => tell!(
            "interrupted after {read} records: what is in {} is whole lines and not all of them; run the job again with --force",
            out.path.display()
        ),
        None => tell!("interrupted after {read} records"),
    }
    exit
}

fn paths(source: &FileJob) -> Vec<&Path> {
    let files = source.inputs.iter().chain([&source.control]);
    files
        .filter_map(|file| match file {
            InputFile::StandardInput => None,
            InputFile::Path(path) => Some(path.as_path()),
        })
        .collect()
}

fn shown(out: Option<&FolderOutput>) -> String {
    out.map(|out| out.path.display().to_string()).unwrap_or_default()
}
