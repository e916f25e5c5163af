//! A systemd unit for the watch.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Serialize;

use super::{WatchArgs, io_failure};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::output::{Page, Report};

/// The unit's name.
const NAME: &str = "soma-model-watch.service";
/// Variables that decide what the watch works with.
const KEPT: [&str; 3] = ["SOMA_CONFIG_DIR", "SOMA_ENV", "SOMA_RPC_URL"];

/// Writes the unit, or shows it.
pub(super) fn install(args: &WatchArgs, context: &Context) -> Result<()> {
    let program = env::current_exe().map_err(|e| io_failure("cannot find this program", &e))?;
    let mut words = vec![text(program)?];
    words.extend(context.flags_for_another_run()?);
    words.extend(["model", "watch"].map(str::to_owned));
    for url in &args.rpc {
        words.extend(["--rpc".to_owned(), url.clone()]);
    }
    if let Some(path) = &args.state {
        words.extend(["--state".to_owned(), text(absolute(path)?)?]);
    }
    if let Some(command) = &args.on_event {
        words.extend(["--on-event".to_owned(), command.clone()]);
    }
    let mut variables = Vec::new();
    for name in KEPT {
        if let Some(value) = env::var_os(name).filter(|value| !value.is_empty()) {
            let value = match name {
                "SOMA_CONFIG_DIR" => text(absolute(Path::new(&value))?)?,
                _ => text(value)?,
            };
            variables.push((name, value));
        }
    }
    let unit = unit(&words, &variables);
    let path = match args.print {
        true => None,
        false => Some(write(&unit)?),
    };
    context.out.print(&UnitReport { unit, path })
}

/// The text of the unit.
fn unit(words: &[String], variables: &[(&str, String)]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let variables: String = variables
        .iter()
        // A dollar means nothing here.
        .map(|(name, value)| {
            format!("Environment={}\n", quoted(&format!("{name}={value}")).replace("$$", "$"))
        })
        .collect();
    format!(
        "[Unit]\n\
         Description=Reveal and look after SOMA models\n\
         After=network-online.target\n\
         \n\
         [Service]\n\
         ExecStart={}\n\
         {variables}\
         Restart=always\n\
         RestartSec=5\n\
         # 2: the command line is wrong, which no restart mends.\n\
         RestartPreventExitStatus=2\n\
         # 4: it was stopped while a model needs somebody.\n\
         SuccessExitStatus=4\n\
         UMask=0077\n\
         NoNewPrivileges=yes\n\
         LimitCORE=0\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n",
        words.join(" ")
    )
}

/// A word as systemd reads it back (systemd.syntax, systemd.service: quotes,
/// specifiers, variables).
fn quoted(word: &str) -> String {
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' => quoted.push_str("%%"),
            '$' => quoted.push_str("$$"),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn write(unit: &str) -> Result<PathBuf> {
    let config = env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty());
    let config = config.map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".config")));
    let config = config.ok_or_else(|| Failure::new("System", "there is no home directory"))?;
    let folder = config.join("systemd").join("user");
    fs::create_dir_all(&folder).map_err(|e| io_failure("cannot create the units' folder", &e))?;
    let path = folder.join(NAME);
    // It names a command of the owner's, which may be for his eyes only.
    soma_wallet::file::replace(&path, unit.as_bytes(), soma_wallet::file::Access::Owner)?;
    Ok(path)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| io_failure("cannot resolve a path", &e))
}

fn text(word: impl Into<OsString>) -> Result<String> {
    let word = word.into().into_string();
    word.map_err(|word| Failure::usage(format!("{} is not text", word.display())))
}

#[derive(Serialize)]
struct UnitReport {
    unit: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
}

impl Report for UnitReport {
    fn text(&self, page: &mut Page) {
        let Some(path) = &self.path else {
            for line in self.unit.lines() {
                page.line(line);
            }
            return;
        };
        page.line(format!("Wrote {}", path.display()));
        page.line("It starts with");
        page.line("  systemctl --user daemon-reload");
        page.line(format!("  systemctl --user enable --now {NAME}"));
        page.line("and goes on without anybody logged in after");
        page.line("  loginctl enable-linger");
        page.line("Its events are shown by");
        page.line(format!("  journalctl --user -u {NAME} -f"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_systemd() {
        assert_eq!(quoted("plain"), "\"plain\"");
        assert_eq!(
            quoted(r#"mail -s "$SOMA_MESSAGE" 100%\me"#),
            r#""mail -s \"$$SOMA_MESSAGE\" 100%%\\me""#
        );
        let words = ["/opt/so ma/soma", "model", "watch"].map(str::to_owned);
        let unit = unit(&words, &[("SOMA_CONFIG_DIR", "/a $b/%c".to_owned())]);
        assert!(unit.contains("\nExecStart=\"/opt/so ma/soma\" \"model\" \"watch\"\n"), "{unit}");
        assert!(unit.contains("\nEnvironment=\"SOMA_CONFIG_DIR=/a $b/%%c\"\n"), "{unit}");
    }
}
