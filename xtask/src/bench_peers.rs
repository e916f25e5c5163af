//! `cargo xtask bench-peers`: `soma weights` beside what a user would run otherwise.
//!
//! All contestants work on the same file in the page cache and take turns, so that a
//! noisy machine disturbs all alike. What is compared are medians; what is shown are
//! ratios. The floor is one Blake2b stream of `blake2b_simd` over bytes in memory, the
//! one thing that a pass with a commitment cannot split.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::ci::{released_program, released_programs, target_dir};
use crate::python;

type Outcome = Result<(), Box<dyn Error>>;

const MIB: u64 = 1 << 20;
/// What the published client's users run today.
const PUBLISHED: &str = "0.1.4";
const PUBLISHED_WORK: &str = "\
import sys
from soma_sdk import SomaClient
with open(sys.argv[1], 'rb') as file:
    plain = file.read()
sealed, key = SomaClient.encrypt_weights(plain)
print(SomaClient.commitment(sealed))
with open(sys.argv[2], 'wb') as file:
    file.write(sealed)
";
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const HELP: &str = "\
usage: cargo xtask bench-peers [--mib N] [--rounds N] [--dir DIR] [--large] [--no-python]

  --mib N       size of the file, 2048 unless told
  --rounds N    rounds of which medians are taken, 5 unless told
  --dir DIR     where the files go; needs room for five of them
  --large       memory and time per byte at 1, 4 and 16 GiB too (sparse input, 5 rounds
                or more)
  --no-python   leave the published Python client out";

/// What the command line asks for.
struct Plan {
    mib: u64,
    rounds: usize,
    dir: PathBuf,
    large: bool,
    python: bool,
}

/// Runs the comparison and prints its tables.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let plan = Plan::parse(options)?;
    released_programs()?;
    let bench = Bench::prepare(&plan)?;
    println!("\n{}, {} threads", processor(), std::thread::available_parallelism()?);
    // Gigabytes that come and go leave a machine in which starting a process costs more.
    let outcome = bench
        .small_files()
        .and_then(|()| bench.one_file(&plan))
        .and_then(|()| bench.eight_files(&plan))
        .and_then(|()| if plan.large { bench.large_files(&plan) } else { Ok(()) });
    fs::remove_dir_all(&bench.dir)?;
    outcome?;
    println!("\nkernels, one thread, data in cache");
    let status = Command::new(released_program("kernels")).status()?;
    if status.success() { Ok(()) } else { Err("the kernels' ratios could not be taken".into()) }
}

impl Plan {
    fn parse(options: &[&str]) -> Result<Self, Box<dyn Error>> {
        let dir = target_dir().join("bench-peers");
        let mut plan = Self { mib: 2048, rounds: 5, dir, large: false, python: true };
        let mut words = options.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{HELP}"));
            match *word {
                "--mib" => plan.mib = value()?.parse()?,
                "--rounds" => plan.rounds = value()?.parse::<usize>()?.max(1),
                "--dir" => plan.dir = PathBuf::from(value()?).join("soma-bench-peers"),
                "--large" => plan.large = true,
                "--no-python" => plan.python = false,
                _ => return Err(HELP.into()),
            }
        }
        Ok(plan)
    }
}

/// The files and programs of a comparison.
struct Bench {
    dir: PathBuf,
    soma: PathBuf,
    floor: PathBuf,
    python: Option<PathBuf>,
}

impl Bench {
    fn prepare(plan: &Plan) -> Result<Self, Box<dyn Error>> {
        let python = if plan.python {
            let package = format!("soma-sdk=={PUBLISHED}");
            Some(python::environment(&format!("soma-sdk-{PUBLISHED}"), &[&package])?)
        } else {
            None
        };
        fs::create_dir_all(&plan.dir)?;
        let bench = Self {
            dir: plan.dir.clone(),
            soma: released_program("soma"),
            floor: released_program("floor"),
            python,
        };
        paint(&bench.at("plain"), plan.mib * MIB)?;
        fs::write(bench.at("key"), format!("{KEY}\n"))?;
        Ok(bench)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// `soma weights` with these words.
    fn weights(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.soma);
        command.arg("weights").args(words).current_dir(&self.dir);
        command
    }

    /// A program, by itself: what a shell around it uses is not its memory.
    fn program(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).current_dir(&self.dir);
        command
    }

    fn one_file(&self, plan: &Plan) -> Outcome {
        let mut floor = Command::new(&self.floor);
        floor.arg(self.at("plain"));
        let encrypt = ["encrypt", "plain", "-o", "sealed", "--use-key-file", "key", "--force"];
        let decrypt = ["decrypt", "ciphertext", "-o", "opened", "--key-file", "key", "--force"];
        // The commitment, so that decrypting checks it.
        let sealed = self.weights(&[&encrypt[..], &["--json"]].concat()).output()?;
        let sealed: serde_json::Value = serde_json::from_slice(&sealed.stdout)?;
        let commitment = sealed["commitment"].as_str().ok_or("encrypt shows no commitment")?;
        let decrypt = [&decrypt[..], &["--commitment", commitment]].concat();
        fs::rename(self.at("sealed"), self.at("ciphertext"))?;
        let iv = "0".repeat(32);
        let openssl = ["enc", "-aes-256-ctr", "-K", KEY, "-iv", &iv, "-in", "plain"];
        let openssl = self.program("openssl", &[&openssl[..], &["-out", "theirs"]].concat());
        let b2sum = self.program("b2sum", &["-l", "256", "theirs"]);
        let mut runs = vec![
            Contestant::new("lone blake2b_simd stream", floor).timing_itself(),
            Contestant::new("soma weights encrypt", on_cores("0,1", &self.weights(&encrypt)))
                .writing("sealed"),
            Contestant::new("soma weights decrypt", on_cores("0,1", &self.weights(&decrypt)))
                .reading("ciphertext")
                .writing("opened"),
            Contestant::new("openssl enc, then b2sum", openssl).then(b2sum).writing("theirs"),
            Contestant::new("cat to a new file", self.program("cat", &["plain"]))
                .writing_stdout("theirs"),
        ];
        if let Some(python) = &self.python {
            let mut command = Command::new(python);
            command.args(["-c", PUBLISHED_WORK, "plain", "theirs"]).current_dir(&self.dir);
            runs.push(Contestant::new("published Python client", command).writing("theirs"));
        }
        println!("\none file of {} MiB in the page cache, {} rounds", plan.mib, plan.rounds);
        let found = race(&self.dir, runs, plan.rounds, Memory::EveryRound)?;
        table(&found, 0);
        let [floor, encrypt, decrypt, openssl, ..] = &found[..] else { return Ok(()) };
        verdict("encrypt over the floor", encrypt.median / floor.median, 1.10, Bound::AtMost);
        verdict("decrypt over the floor", decrypt.median / floor.median, 1.10, Bound::AtMost);
        verdict(
            "openssl and b2sum over ours",
            openssl.median / encrypt.median,
            2.0,
            Bound::AtLeast,
        );
        if let Some(python) = found.get(5) {
            verdict("Python client over ours", python.median / encrypt.median, 5.0, Bound::AtLeast);
            let memory = python.peak_kib as f64 / encrypt.peak_kib as f64;
            verdict("its memory over ours", memory, 20.0, Bound::AtLeast);
        }
        Ok(())
    }

    fn eight_files(&self, plan: &Plan) -> Outcome {
        let names: Vec<_> = (0..8).map(|i| format!("part-{i}")).collect();
        for name in &names {
            paint(&self.at(name), plan.mib * MIB / 8)?;
        }
        let names_ref: Vec<_> = names.iter().map(String::as_str).collect();
        let b2sum = self.program("b2sum", &[&["-l", "256"], &names_ref[..]].concat());
        let soma = self.weights(&[&["commitment"], &names_ref[..]].concat());
        let runs = vec![
            Contestant::new("b2sum -l 256", on_cores("0", &b2sum)),
            Contestant::new("soma weights commitment", on_cores("0", &soma)),
        ];
        println!("\neight files of {} MiB, one core each", plan.mib / 8);
        let found = race(&self.dir, runs, plan.rounds, Memory::EveryRound)?;
        table(&found, 0);
        verdict("b2sum over ours", found[0].median / found[1].median, 2.3, Bound::AtLeast);
        names.iter().try_for_each(|name| fs::remove_file(self.at(name)))?;
        Ok(())
    }

    fn small_files(&self) -> Outcome {
        println!("\nsmall files, from process start to exit");
        let mut runs = Vec::new();
        for (name, len) in [("1 byte", 1), ("1 KiB", 1024)] {
            let file = format!("small-{len}");
            paint(&self.at(&file), len)?;
            let output = format!("{file}.sealed");
            let words = ["encrypt", &file, "-o", &output, "--use-key-file", "key", "--force"];
            runs.push(Contestant::new(name, self.weights(&words)));
        }
        let found = race(&self.dir, runs, 51, Memory::WarmUp)?;
        table(&found, 0);
        for found in &found {
            verdict(found.name, found.median * 1000.0, 5.0, Bound::AtMost);
        }
        Ok(())
    }

    fn large_files(&self, plan: &Plan) -> Outcome {
        const SIZES: [(u64, [&str; 2]); 3] = [
            (1, ["encrypt, 1 GiB", "decrypt, 1 GiB"]),
            (4, ["encrypt, 4 GiB", "decrypt, 4 GiB"]),
            (16, ["encrypt, 16 GiB", "decrypt, 16 GiB"]),
        ];
        // All in one race: the machine's mood of an hour then falls on all sizes alike.
        let rounds = plan.rounds.max(5);
        println!("\nlarge sparse files to nowhere, {rounds} rounds");
        let mut runs = Vec::new();
        for (gib, [encrypt, decrypt]) in SIZES {
            let file = format!("sparse-{gib}");
            File::create(self.at(&file))?.set_len(gib * 1024 * MIB)?;
            let sealing = ["encrypt", &file, "-o", "/dev/null", "--use-key-file", "key"];
            let opening = ["decrypt", &file, "-o", "/dev/null", "--key-file", "key"];
            runs.push(Contestant::new(encrypt, self.weights(&sealing)));
            runs.push(Contestant::new(decrypt, self.weights(&opening)));
        }
        let found = race(&self.dir, runs, rounds, Memory::EveryRound)?;
        table(&found, 0);
        for found in &found {
            let peak = found.peak_kib as f64 / 1024.0;
            verdict(&format!("MiB to {}", found.name), peak, 128.0, Bound::AtMost);
        }
        let [encrypt, decrypt, _, _, encrypt_16, decrypt_16] = &found[..] else {
            return Err("a contestant is missing".into());
        };
        for (what, small, large) in
            [("encrypt", encrypt, encrypt_16), ("decrypt", decrypt, decrypt_16)]
        {
            let growth = large.median / small.median / 16.0;
            let what = format!("{what}: time per byte, 16 GiB over 1 GiB");
            verdict(&what, growth, 1.05, Bound::AtMost);
        }
        SIZES.iter().try_for_each(|(gib, _)| fs::remove_file(self.at(&format!("sparse-{gib}"))))?;
        Ok(())
    }
}

/// The command on these processors only. `taskset` becomes the program that it starts.
fn on_cores(cores: &str, command: &Command) -> Command {
    let mut bound = Command::new("taskset");
    bound.args(["-c", cores]).arg(command.get_program()).args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        bound.current_dir(dir);
    }
    bound
}

/// A command to be timed.
struct Contestant {
    name: &'static str,
    /// One after the other.
    commands: Vec<Command>,
    /// The first word of its output is its time, in seconds.
    times_itself: bool,
    /// The file it reads, of which all is in the page cache when it begins.
    input: &'static str,
    /// The file it writes, removed beforehand: each begins with none.
    output: Option<&'static str>,
    /// It writes that file to its standard output.
    to_stdout: bool,
}

impl Contestant {
    fn new(name: &'static str, command: Command) -> Self {
        Self {
            name,
            commands: vec![command],
            times_itself: false,
            input: "plain",
            output: None,
            to_stdout: false,
        }
    }

    fn then(mut self, command: Command) -> Self {
        self.commands.push(command);
        self
    }

    fn timing_itself(self) -> Self {
        Self { times_itself: true, ..self }
    }

    fn reading(self, input: &'static str) -> Self {
        Self { input, ..self }
    }

    fn writing(self, output: &'static str) -> Self {
        Self { output: Some(output), ..self }
    }

    fn writing_stdout(self, output: &'static str) -> Self {
        Self { to_stdout: true, ..self.writing(output) }
    }

    /// Runs once in `dir`: seconds, and peak resident memory in KiB if it is watched.
    fn run(&mut self, dir: &Path, watched: bool) -> Result<(f64, u64), Box<dyn Error>> {
        let (mut seconds, mut peak) = (0.0, 0);
        for i in 0..self.commands.len() {
            let stdout = match self.output.filter(|_| self.to_stdout) {
                Some(output) => File::create(dir.join(output))?.into(),
                None => Stdio::piped(),
            };
            let (now, peak_now) = self.run_command(i, stdout, watched)?;
            seconds += now;
            peak = peak.max(peak_now);
        }
        Ok((seconds, peak))
    }

    fn run_command(
        &mut self,
        i: usize,
        stdout: Stdio,
        watched: bool,
    ) -> Result<(f64, u64), Box<dyn Error>> {
        let begin = Instant::now();
        let mut child = self.commands[i].stdout(stdout).stderr(Stdio::piped()).spawn()?;
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        let mut peak = 0;
        while watched && child.try_wait()?.is_none() {
            peak = peak.max(resident_peak(&status).unwrap_or(0));
            // Seldom enough not to disturb, often enough for small files.
            let elapsed = begin.elapsed();
            std::thread::sleep(
                (elapsed / 50).clamp(Duration::from_micros(50), Duration::from_millis(20)),
            );
        }
        child.wait()?;
        let wall = begin.elapsed().as_secs_f64();
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("{}: {}: {reason}", self.name, output.status).into());
        }
        if !self.times_itself {
            return Ok((wall, peak));
        }
        let text = String::from_utf8(output.stdout)?;
        let seconds = text.split_whitespace().next().ok_or("no time in the output")?;
        Ok((seconds.parse()?, peak))
    }
}

struct Found {
    name: &'static str,
    median: f64,
    peak_kib: u64,
}

/// When a contestant's memory is watched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    EveryRound,
    /// Not while it is timed: each look at a process keeps it from using new memory, which
    /// is most of what a short one does.
    WarmUp,
}

/// Runs all in turns in `dir`, `rounds` times after one to warm up.
fn race(
    dir: &Path,
    mut runs: Vec<Contestant>,
    rounds: usize,
    memory: Memory,
) -> Result<Vec<Found>, Box<dyn Error>> {
    let mut times = vec![Vec::new(); runs.len()];
    let mut peaks = vec![0; runs.len()];
    for round in 0..=rounds {
        for (i, contestant) in runs.iter_mut().enumerate() {
            if let Some(output) = contestant.output {
                settle(&dir.join(output), &dir.join(contestant.input))?;
            }
            let (seconds, peak) =
                contestant.run(dir, round == 0 || memory == Memory::EveryRound)?;
            peaks[i] = peaks[i].max(peak);
            if round > 0 {
                times[i].push(seconds);
            }
        }
    }
    let found = runs.iter().zip(times).zip(peaks).map(|((contestant, mut times), peak_kib)| {
        times.sort_by(f64::total_cmp);
        Found { name: contestant.name, median: times[times.len() / 2], peak_kib }
    });
    Ok(found.collect())
}

/// Gives a contestant that writes a machine like the one before it had.
///
/// A virtual machine may have handed its free memory back to the host, and then pays
/// for the first use of each page several times what writing costs. So as many pages
/// as the output needs are used and freed again, which reads the input into the page
/// cache besides; and what others wrote goes to the disk now, not while this one is timed.
fn settle(output: &Path, like: &Path) -> Outcome {
    let status = Command::new("sync").status()?;
    if !status.success() {
        return Err(format!("sync: {status}").into());
    }
    io::copy(&mut File::open(like)?, &mut File::create(output)?)?;
    Ok(fs::remove_file(output)?)
}

fn table(found: &[Found], base: usize) {
    for Found { name, median, peak_kib } in found {
        let ratio = median / found[base].median;
        println!(
            "  {name:26} {median:9.4} s  {ratio:6.2} x  {:7.1} MiB",
            *peak_kib as f64 / 1024.0
        );
    }
}

enum Bound {
    AtMost,
    AtLeast,
}

fn verdict(what: &str, found: f64, target: f64, bound: Bound) {
    let (word, holds) = match bound {
        Bound::AtMost => ("at most", found <= target),
        Bound::AtLeast => ("at least", found >= target),
    };
    let holds = if holds { "holds" } else { "MISSED" };
    println!("  -> {what}: {found:.2} ({word} {target}: {holds})");
}

/// The peak of a process's resident memory so far, in KiB, where the system tells.
fn resident_peak(status: &Path) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Writes bytes that do not compress and do not repeat.
fn paint(path: &Path, len: u64) -> Outcome {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = len | 1;
    let mut left = len;
    while left > 0 {
        // Xorshift (Marsaglia 2003): anything that is not constant will do.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let take = left.min(8) as usize;
        file.write_all(&state.to_le_bytes()[..take])?;
        left -= take as u64;
    }
    file.flush()?;
    Ok(())
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':'));
    name.map_or_else(|| "unknown processor".into(), |(_, name)| name.trim().into())
}
