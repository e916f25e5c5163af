//! The Python package `soma-client`: its wheel, and everything that is tested on it.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ci::{programs, root, show, target_dir};
use crate::python::{PUBLISHED, environment, pytest, requirements};
use crate::venv;

type Outcome = Result<(), Box<dyn Error>>;

/// Builds wheels.
const MATURIN: &str = "maturin==1.16.0";
/// What the suites and the type checkers need, beside what all suites need.
const REQUIREMENTS: &str = "tests/python/soma_client/requirements.txt";
/// A wheel may be this large.
const WHEEL_LIMIT: u64 = 15_000_000; // bytes
const EXAMPLES: &str = "crates/soma-python/examples";

/// How the native part is compiled.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// Shares what the other steps have compiled.
    Dev,
    /// What users get.
    Release,
}

/// The step of `cargo xtask ci`: the wheel in a fresh environment, its types, all
/// suites. Everything runs even when something fails.
pub(crate) fn check() -> Outcome {
    programs()?;
    let wheel = build(Profile::Dev)?;
    let published = format!("soma-sdk=={}", PUBLISHED[0]);
    let mut needed = requirements(REQUIREMENTS)?;
    needed.push(published);
    let needed: Vec<_> = needed.iter().map(String::as_str).collect();
    let tools = environment("soma-client-tools", &needed)?;
    let package = Installed::new("soma-client", &tools, &wheel)?;
    let checks: [(&str, &dyn Fn() -> Outcome); 6] = [
        ("stubs match the runtime", &|| package.stubtest()),
        ("types, by mypy", &|| package.run(&["-m", "mypy", "--strict", EXAMPLES])),
        ("types, by pyright", &|| package.pyright()),
        ("alias", &|| package.alias()),
        ("suites of the package", &|| package.pytest("tests/python/soma_client", &[])),
        ("suites of the published client, with soma", &|| {
            package.pytest("tests/python/published_client", &[("SOMA_CLIENT_MODULE", "soma")])
        }),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        println!("\n-- {name}");
        if let Err(error) = check() {
            println!("{error}");
            failed.push(name);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join(", ").into()) }
}

/// Builds the wheel; where it lies.
pub(crate) fn build(profile: Profile) -> Result<PathBuf, Box<dyn Error>> {
    let maturin = venv::kept("maturin", &[MATURIN])?;
    let name = match profile {
        Profile::Dev => "dev",
        Profile::Release => "release",
    };
    let out = target_dir().join("wheels").join(name);
    // What is found there afterwards is what was built now.
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    let mut build = Command::new(&maturin);
    build
        .args(["-m", "maturin", "build", "--quiet", "--locked", "--profile", name])
        .args(["--manifest-path", "crates/soma-python/Cargo.toml", "--out"])
        .arg(&out)
        .current_dir(root());
    show(&mut build)?;
    let built = fs::read_dir(&out)?.next().ok_or("maturin built no wheel")??;
    let size = built.metadata()?.len();
    println!("{}: {:.1} MB", built.file_name().display(), size as f64 / 1e6);
    if size < WHEEL_LIMIT { Ok(built.path()) } else { Err("the wheel is too large".into()) }
}

/// The package in a virtual environment of its own.
struct Installed {
    python: PathBuf,
}

impl Installed {
    /// Installs the wheel into a fresh environment; `tools` has what the checks need.
    fn new(name: &str, tools: &Path, wheel: &Path) -> Result<Self, Box<dyn Error>> {
        let python = venv::fresh(name, tools)?;
        venv::install(&python, &["--no-deps", text(wheel)?])?;
        Ok(Self { python })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command.args(arguments).current_dir(root()).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        show(&mut self.command(arguments))
    }

    fn pytest(&self, suites: &str, variables: &[(&str, &str)]) -> Outcome {
        show(pytest(&self.python, suites)?.envs(variables.iter().copied()))
    }

    /// Subclasses of `int` that carry attributes are what no decorator that we could
    /// import at run time says of them.
    fn stubtest(&self) -> Outcome {
        self.run(&["-m", "mypy.stubtest", "soma", "--ignore-disjoint-bases"])
    }

    /// The examples are in order, and no public name is without a type. Pyright looks
    /// for packages in the first interpreter of the path.
    fn pyright(&self) -> Outcome {
        let mut path = vec![self.python.parent().ok_or("no folder of the interpreter")?.into()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let path = std::env::join_paths(path)?;
        show(self.command(&["-m", "pyright", EXAMPLES]).env("PATH", &path))?;
        let verify = ["-m", "pyright", "--verifytypes", "soma", "--ignoreexternal"];
        show(self.command(&verify).env("PATH", &path))
    }

    /// `import soma_sdk` gives ours where the alias is installed, and only there. It is
    /// built from a copy: setuptools leaves its folders beside what it builds.
    fn alias(&self) -> Outcome {
        let folder = target_dir().join("wheels").join("alias");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let (source, target) = (folder.join("source"), folder.join("installed"));
        copy(&root().join("crates/soma-python/alias"), &source)?;
        venv::install(&self.python, &["--no-deps", "--target", text(&target)?, text(&source)?])?;
        let same = "import soma, soma_sdk; assert soma_sdk.SomaClient is soma.SomaClient";
        show(self.command(&["-c", same]).env("PYTHONPATH", &target))
    }
}

fn text(path: &Path) -> Result<&str, Box<dyn Error>> {
    Ok(path.to_str().ok_or("the target folder's name is not text")?)
}

/// Copies a folder and all that is in it.
fn copy(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// `cargo xtask bench-python`: the package beside the published client, and what an
/// import costs.
pub(crate) fn bench(options: &[&str]) -> Outcome {
    let wheel = build(Profile::Release)?;
    let release = PUBLISHED[0];
    let published = format!("soma-sdk=={release}");
    let tools = environment(&format!("soma-sdk-{release}"), &[&published])?;
    let package = Installed::new("bench-python", &tools, &wheel)?;
    package.run(&[&["benches/python/compare.py", "--wheel", text(&wheel)?], options].concat())
}
