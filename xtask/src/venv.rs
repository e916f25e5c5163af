//! Virtual environments of Python in the target folder.
//!
//! All are filled by one pip of a known version. They are kept, and used again as long as
//! what is in them is what a new one would have.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::ci::{show, target_dir};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Fills the environments.
const PIP: &str = "pip==26.3";

/// Succeeds in an environment that has the packages at these versions.
const HAS_PINS: &str = "
import importlib.metadata, sys
for pin in sys.argv[1:]:
    name, version = pin.split('==')
    assert importlib.metadata.version(name.split('[')[0]) == version, pin
";

/// An environment with packages, each given as `NAME==VERSION`; its interpreter is
/// returned. If it was made for others, by another Python, or not to its end, or somebody
/// has changed a version since, it is made anew.
pub(crate) fn kept(name: &str, pins: &[&str]) -> Outcome<PathBuf> {
    let place = Place::new(name);
    if !place.is_complete(pins) {
        place.make(&["--without-pip"])?;
        install(&place.python, pins)?;
        place.complete(pins)?;
    }
    Ok(place.python)
}

/// A new environment with nothing of its own, whatever was there; what `beside` has can
/// be imported in it.
pub(crate) fn fresh(name: &str, beside: &Path) -> Outcome<PathBuf> {
    let place = Place::new(name);
    place.make(&["--without-pip"])?;
    let line = format!("{}\n", packages_of(beside)?.display());
    fs::write(packages_of(&place.python)?.join("beside.pth"), line)?;
    Ok(place.python)
}

/// Installs packages into the environment of an interpreter; `arguments` are pip's.
pub(crate) fn install(python: &Path, arguments: &[&str]) -> Outcome {
    let mut install = Command::new(pip()?);
    install.args(["-m", "pip", "--disable-pip-version-check", "--python"]).arg(python);
    show(install.args(["install", "--quiet"]).args(arguments))
}

/// The interpreter whose pip fills all environments.
fn pip() -> Outcome<PathBuf> {
    let place = Place::new("pip");
    if !place.is_complete(&[PIP]) {
        // Python brings a pip of its own, which is good for one thing.
        place.make(&[])?;
        let mut install = Command::new(&place.python);
        install.args(["-m", "pip", "--disable-pip-version-check", "install", "--quiet", PIP]);
        show(&mut install)?;
        place.complete(&[PIP])?;
    }
    Ok(place.python)
}

/// Where an environment is.
struct Place {
    folder: PathBuf,
    python: PathBuf,
}

impl Place {
    fn new(name: &str) -> Self {
        let folder = target_dir().join("venv").join(name);
        Self { python: folder.join("bin").join("python"), folder }
    }

    /// Makes it anew.
    fn make(&self, options: &[&str]) -> Outcome {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        let mut venv = Command::new("python3");
        show(venv.args(["-m", "venv"]).args(options).arg(&self.folder))
    }

    /// Whether it was made to its end for these packages, and still has them.
    fn is_complete(&self, pins: &[&str]) -> bool {
        let same = fs::read_to_string(self.stamp()).is_ok_and(|found| found == pins.join("\n"));
        let mut has_pins = Command::new(&self.python);
        has_pins.args(["-c", HAS_PINS]).args(pins).stderr(Stdio::null());
        same && has_pins.status().is_ok_and(|status| status.success())
    }

    fn complete(&self, pins: &[&str]) -> Outcome {
        Ok(fs::write(self.stamp(), pins.join("\n"))?)
    }

    fn stamp(&self) -> PathBuf {
        self.folder.join("complete")
    }
}

/// The folder of an interpreter's packages.
fn packages_of(python: &Path) -> Outcome<PathBuf> {
    let tell = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let told = Command::new(python).args(["-c", tell]).output()?;
    Ok(String::from_utf8(told.stdout)?.trim().into())
}
