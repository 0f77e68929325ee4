//! The owner's machines, and the telemetry they send in the names of ISO 15143-3.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use super::halt::Halt;
use crate::clock::{Clock, SystemClock};
use crate::kafka::{EventWriter, KafkaSettings};
use crate::time::TimestampMs;

/// The owner.
pub(super) const OWNER: &str = "northwind";
/// Where its platform puts what the machines send.
pub(super) const RAW_TOPIC: &str = "telemetry.raw";
/// And what it knows of each: the console shows their names.
pub(super) const DETAILS_TOPIC: &str = "asset.details";
/// Each machine sends this often: often enough that "no more" is seen at once.
const EVERY: Duration = Duration::from_millis(50);

/// A machine as it leaves the works.
#[derive(Debug)]
pub(super) struct Machine {
    /// The asset, in the owner's words.
    pub(super) asset: &'static str,
    name: &'static str,
    plate: &'static str,
    model: &'static str,
    serial: &'static str,
    pin: &'static str,
    badge: &'static str,
    latitude: f64,
    longitude: f64,
    hours: f64,
}

/// The fleet.
pub(super) const FLEET: [Machine; 3] = [
    Machine {
        asset: "NW-7",
        name: "Excavator 36 t",
        plate: "B-HX 360",
        model: "HX360",
        serial: "HX360-40123",
        pin: "PIN-77-4107",
        badge: "B-4411",
        latitude: 59.913868,
        longitude: 10.752245,
        hours: 4815.62,
    },
    Machine {
        asset: "NW-12",
        name: "Wheel loader 18 t",
        plate: "B-WL 180",
        model: "WL180",
        serial: "WL180-20771",
        pin: "PIN-12-9031",
        badge: "B-2093",
        latitude: 59.921207,
        longitude: 10.733614,
        hours: 1201.05,
    },
    Machine {
        asset: "NW-31",
        name: "Telehandler 7 t",
        plate: "B-TH 742",
        model: "TH742",
        serial: "TH742-10088",
        pin: "PIN-31-2265",
        badge: "B-1170",
        latitude: 59.436962,
        longitude: 10.657381,
        hours: 322.4,
    },
];

impl Machine {
    /// Its record number `count`. Distances, hours and fuel creep on as they would over a working day.
    fn record(&self, count: u64, now: TimestampMs, has_fault: bool) -> String {
        let mut time = Vec::new();
        now.moment().write_rfc3339(&mut time);
        let time = String::from_utf8_lossy(&time);
        let at = count as f64;
        let mut text = format!(
            concat!(
                r#"{{"tenant":"{}","asset":"{}","ts":"{}","#,
                r#""EquipmentHeader":{{"OEMName":"Halden","Model":"{}","EquipmentID":"{}","SerialNumber":"{}","PIN":"{}"}},"#,
                r#""Location":{{"datetime":"{}","Latitude":{:.6},"Longitude":{:.6},"Altitude":23.4,"AltitudeUnits":"metre"}},"#,
                r#""CumulativeOperatingHours":{{"Hour":{:.2}}},"CumulativeIdleHours":{{"Hour":{:.2}}},"#,
                r#""FuelUsed":{{"FuelUnits":"litre","FuelConsumed":{:.1}}},"FuelRemaining":{{"Percent":{}}},"#,
                r#""EngineStatus":{{"Running":true}},"Distance":{{"Odometer":{:.1},"OdometerUnits":"kilometre"}}"#,
            ),
            OWNER,
            self.asset,
            time,
            self.model,
            self.asset,
            self.serial,
            self.pin,
            time,
            self.latitude + (at / 40.0).sin() * 1e-5,
            self.longitude + (at / 40.0).cos() * 1e-5,
            self.hours + at / 3600.0,
            self.hours / 4.0,
            self.hours * 14.0 + at / 200.0,
            87 - count / 900 % 60,
            self.hours * 1.7,
        );
        if has_fault {
            text.push_str(concat!(
                r#","FaultCode":[{"CodeIdentifier":"110-0","CodeDescription":"coolant hot","CodeSeverity":"Severe"},"#,
                r#"{"CodeIdentifier":"107-15","CodeDescription":"air filter","CodeSeverity":"Low"}]"#
            ));
        }
        // The owner's platform adds what no standard asks for, and nobody else should see.
        let _ = write!(text, r#","driver":{{"badge":"{}"}}}}"#, self.badge);
        text
    }
}

/// Writes what the machines are called, as their owner's platform does.
pub(super) fn name_machines(kafka: &KafkaSettings) -> Result<(), Halt> {
    let mut writer = EventWriter::open(kafka, DETAILS_TOPIC, Duration::from_secs(10)).map_err(Halt::broken)?;
    for machine in &FLEET {
        let document = format!(r#"{{"name":"{}","plate":"{}","make":"Halden","model":"{}"}}"#, machine.name, machine.plate, machine.model);
        let key = format!("{OWNER}/{}", machine.asset);
        writer.append_record(Some(key.as_bytes()), Some(document.as_bytes()), &[]).map_err(Halt::broken)?;
    }
    Ok(())
}

/// The machines at work, on a thread.
pub(super) struct Fleet {
    /// How many records all machines have sent.
    pub(super) sent: Arc<AtomicU64>,
    /// Raised to have the first machine report a fault in its next record, which is then handed to the story.
    pub(super) fault_wanted: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), Halt>>,
}

impl Fleet {
    /// Sends records, keyed by asset, until `stop` is raised. The record with the fault goes to `faults` too.
    pub(super) fn start(kafka: &KafkaSettings, stop: Arc<AtomicBool>, faults: Sender<Vec<u8>>) -> Result<Self, Halt> {
        let mut writer = EventWriter::open(kafka, RAW_TOPIC, Duration::from_secs(10)).map_err(Halt::broken)?;
        let (sent, fault_wanted) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, wanted) = (Arc::clone(&sent), Arc::clone(&fault_wanted));
        let thread = std::thread::spawn(move || {
            let mut next = SystemClock.boot();
            for count in 0.. {
                for (at, machine) in FLEET.iter().enumerate() {
                    let has_fault = at == 0 && wanted.swap(false, Ordering::Relaxed);
                    let record = machine.record(count, SystemClock.wall(), has_fault);
                    if stop.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    writer.append_record(Some(machine.asset.as_bytes()), Some(record.as_bytes()), &[]).map_err(Halt::broken)?;
                    counter.fetch_add(1, Ordering::Relaxed);
                    if has_fault {
                        let _ = faults.send(record.into_bytes());
                    }
                }
                next = next.after(EVERY);
                std::thread::sleep(next.since(SystemClock.boot()));
            }
            Ok(())
        });
        Ok(Self { sent, fault_wanted, thread })
    }

    /// Waits until it has stopped, and says how it went.
    pub(super) fn join(self) -> Result<(), Halt> {
        self.thread.join().unwrap_or_else(|_| Err(Halt::broken("the fleet's thread panicked")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::document;

    #[test]
    fn records_are_json_with_and_without_a_fault() {
        for has_fault in [false, true] {
            let text = FLEET[0].record(7, TimestampMs(1_767_258_000_000), has_fault);
            let node = document::parse(text.as_bytes()).unwrap();
            assert_eq!(node.get("FaultCode").is_some(), has_fault);
            assert_eq!(node.get("ts").and_then(|ts| ts.as_str()), Some("2026-01-01T09:00:00Z"));
        }
    }
}
