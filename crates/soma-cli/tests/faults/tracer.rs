//! Runs a program and kills it at one of its side effects.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Where a program is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The effect does not happen.
    Before(usize),
    /// Half of the bytes are written or sent.
    During(usize),
    /// The effect has happened.
    After(usize),
}

impl At {
    const fn number(self) -> usize {
        match self {
            Self::Before(number) | Self::During(number) | Self::After(number) => number,
        }
    }
}

/// A side effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    /// The system call.
    pub(crate) call: &'static str,
    /// Whether half of it can happen.
    pub(crate) divisible: bool,
    /// Whether it goes to a socket.
    pub(crate) is_sent: bool,
    /// The port to which the socket is connected.
    pub(crate) port: Option<u16>,
    /// What `look` saw when it came, in a run to the end.
    pub(crate) seen: bool,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; nothing for a process that was killed.
    pub(crate) code: Option<i32>,
    /// Its side effects until then.
    pub(crate) effects: Vec<Effect>,
    /// Standard output and standard error.
    #[expect(dead_code, reason = "shown when an assertion fails")]
    pub(crate) said: [String; 2],
}

/// Runs `command` to its end, or kills it at the place `at`. Before that, or before
/// every effect of a run to the end, `look` may see to the world, while the process
/// stands still: it gets the effect.
///
/// All calls come from one thread, which is the tracer.
#[expect(clippy::zombie_processes, reason = "the loop waits for it, as its tracer")]
pub(crate) fn run(
    command: &Command,
    at: Option<At>,
    mut look: impl FnMut(&Effect) -> bool,
) -> Ended {
    let mut child = started(command);
    let mut gate = child.stdin.take().unwrap();
    let said = [drain(child.stdout.take().unwrap()), drain(child.stderr.take().unwrap())];
    let main = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(main, options).unwrap();
    ptrace::interrupt(main).unwrap();
    gate.write_all(b"\n").unwrap();
    drop(gate);

    let mut tracee = Tracee { at, ..Tracee::default() };
    let code = loop {
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        match waitpid(None, Some(flags)).unwrap() {
            WaitStatus::Exited(pid, code) if pid == main => break Some(code),
            WaitStatus::Signaled(pid, ..) if pid == main => break None,
            WaitStatus::PtraceEvent(pid, _, event) => {
                tracee.begun |= event == libc::PTRACE_EVENT_EXEC;
                resume(pid, None);
            }
            WaitStatus::PtraceSyscall(pid) => {
                let before = tracee.effects.len();
                let is_here = tracee.step(pid);
                if at.is_none() && tracee.effects.len() > before {
                    tracee.effects[before].seen = look(&tracee.effects[before]);
                }
                if let (true, Some(effect)) = (is_here, tracee.at_effect()) {
                    look(effect);
                    kill(main, Signal::SIGKILL).unwrap();
                }
                resume(pid, None);
            }
            WaitStatus::Stopped(pid, signal) => resume(pid, Some(signal)),
            _ => {}
        }
    };
    let said = said.map(|reader| reader.join().unwrap());
    Ended { code, effects: tracee.effects, said }
}

/// A shell that waits for a line and then becomes the program: time to take hold of it.
fn started(command: &Command) -> std::process::Child {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "read -r _ && exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn drain(mut pipe: impl std::io::Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A thread that was killed meanwhile is nothing to complain about.
fn resume(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::syscall(pid, signal);
}

#[derive(Default)]
struct Tracee {
    at: Option<At>,
    /// Whether the shell has become the program.
    begun: bool,
    /// Threads inside a system call that is an effect, with its number.
    inside: HashMap<Pid, usize>,
    /// Descriptors of sockets, with the ports to which they are connected.
    ports: HashMap<u64, u16>,
    effects: Vec<Effect>,
}

impl Tracee {
    /// One stop at a system call. Tells whether this is the place.
    fn step(&mut self, pid: Pid) -> bool {
        if !self.begun {
            return false;
        }
        match ptrace::syscall_info(pid) {
            Ok(info) if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY => self.enter(pid),
            Ok(info) if info.op == libc::PTRACE_SYSCALL_INFO_EXIT => {
                let number = self.inside.remove(&pid);
                let reached = |at: At| !matches!(at, At::Before(_)) && Some(at.number()) == number;
                self.at.is_some_and(reached)
            }
            _ => false,
        }
    }

    /// The effect at the place.
    fn at_effect(&self) -> Option<&Effect> {
        self.effects.get(self.at?.number())
    }

    fn enter(&mut self, pid: Pid) -> bool {
        let Ok(mut registers) = ptrace::getregs(pid) else { return false };
        let Some(mut effect) = effect(pid, &registers) else { return false };
        if effect.call == "connect"
            && let Ok(address) = ptrace::read(pid, registers.rsi as ptrace::AddressType)
        {
            // The family comes first, then the port, in the order of the network.
            let [_, _, high, low, ..] = address.to_ne_bytes();
            self.ports.insert(registers.rdi, u16::from_be_bytes([high, low]));
        }
        if effect.is_sent {
            effect.port = self.ports.get(&registers.rdi).copied();
        }
        let number = self.effects.len();
        let divisible = effect.divisible;
        self.effects.push(effect);
        self.inside.insert(pid, number);
        match self.at {
            Some(At::Before(wanted)) if wanted == number => {
                // No system call has this number: it fails, whatever happens next.
                registers.orig_rax = u64::MAX;
                let _ = ptrace::setregs(pid, registers);
                true
            }
            Some(At::During(wanted)) if wanted == number && divisible => {
                halve(pid, &mut registers);
                false
            }
            _ => false,
        }
    }
}

/// Makes a write shorter.
fn halve(pid: Pid, registers: &mut user_regs_struct) {
    let call = i64::try_from(registers.orig_rax).unwrap_or(-1);
    if matches!(call, libc::SYS_write | libc::SYS_pwrite64 | libc::SYS_sendto) {
        registers.rdx /= 2;
        let _ = ptrace::setregs(pid, *registers);
    } else {
        // The first piece only, and half of that. The list lies in the program's memory,
        // which nobody reads again: the process is killed after this call.
        let length = (registers.rsi + 8) as ptrace::AddressType;
        if let Ok(bytes) = ptrace::read(pid, length) {
            let _ = ptrace::write(pid, length, bytes / 2);
        }
        registers.rdx = 1;
        let _ = ptrace::setregs(pid, *registers);
    }
}

/// What a system call changes outside of the process, if anything.
fn effect(pid: Pid, registers: &user_regs_struct) -> Option<Effect> {
    let call = i64::try_from(registers.orig_rax).ok()?;
    let of = |call, divisible, is_sent| {
        Some(Effect { call, divisible, is_sent, port: None, seen: false })
    };
    let whole = |call| of(call, false, false);
    let written = |call, bytes: u64| {
        let target = target(pid, registers.rdi)?;
        let is_sent = target.to_string_lossy().starts_with("socket:");
        let is_file = target.is_absolute() && !target.starts_with("/dev");
        let divisible = bytes > 1;
        if is_sent || is_file { of(call, divisible, is_sent) } else { None }
    };
    match call {
        libc::SYS_write => written("write", registers.rdx),
        libc::SYS_pwrite64 => written("pwrite", registers.rdx),
        libc::SYS_writev => written("writev", 2),
        libc::SYS_sendto => written("sendto", registers.rdx),
        libc::SYS_sendmsg => written("sendmsg", 0),
        libc::SYS_openat if registers.rdx & libc::O_CREAT as u64 != 0 => whole("create"),
        libc::SYS_mkdir | libc::SYS_mkdirat => whole("mkdir"),
        libc::SYS_rename | libc::SYS_renameat | libc::SYS_renameat2 => whole("rename"),
        libc::SYS_link | libc::SYS_linkat => whole("link"),
        libc::SYS_unlink | libc::SYS_unlinkat => whole("unlink"),
        libc::SYS_fsync | libc::SYS_fdatasync => whole("sync"),
        libc::SYS_ftruncate => whole("truncate"),
        libc::SYS_chmod | libc::SYS_fchmod | libc::SYS_fchmodat => whole("chmod"),
        libc::SYS_connect => of("connect", false, true),
        _ => None,
    }
}

fn target(pid: Pid, descriptor: u64) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()
}
