//! The URL, the file and the key of encrypted weights.

use std::fs;
use std::io::Read;
use std::path::Path;

use soma_crypto::{Input, Options};
use soma_proto::{Commitment, DecryptionKey, WeightsUrl};
use soma_storage::{AddressPolicy, redacted};
use soma_wallet::Environment;
use zeroize::Zeroizing;

use crate::{Check, Error, Finding, ObjectName, Report, Result};

/// Random bits an object's name should have at least. The chain publishes the
/// hash of the URL a day before the reveal, and hashes are quick to try.
const NAME_BITS: usize = 128;

/// Whether a network is on this machine or out in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third place")]
pub enum Scope {
    /// Plain HTTP and private hosts will do.
    Local,
    /// Strangers fetch the weights.
    Public,
}

impl Scope {
    /// Where the network of an environment is, by the name and the URL that the
    /// user gave it. What a node says of itself does not count: one that calls its
    /// chain `localnet` could have URLs of strangers fetched from the user's own
    /// network.
    pub fn of(environment: &Environment) -> Self {
        if environment.is_local() { Self::Local } else { Self::Public }
    }

    /// Which addresses weights may be fetched from: on a public network a URL, which
    /// strangers chose, must not lead into the user's own.
    pub const fn addresses(self) -> AddressPolicy {
        match self {
            Self::Local => AddressPolicy::Any,
            Self::Public => AddressPolicy::PublicHttps,
        }
    }
}

/// A URL as it was typed and as the chain will hash it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedUrl {
    typed: String,
    normal: WeightsUrl,
}

impl TypedUrl {
    /// The form that is sent, hashed and committed to.
    pub const fn normal(&self) -> &WeightsUrl {
        &self.normal
    }

    /// Whether it was typed in another form.
    pub fn was_changed(&self) -> bool {
        self.typed != self.normal.as_str()
    }

    /// Whether it names a folder, in which an object can have a name of its own.
    pub fn is_folder(&self) -> bool {
        let url = self.normal.as_url();
        !url.cannot_be_a_base()
            && url.path().ends_with('/')
            && url.query().is_none()
            && url.fragment().is_none()
    }

    /// The URL of an object in this folder.
    ///
    /// ```
    /// use soma_model::{ObjectName, TypedUrl};
    ///
    /// let folder: TypedUrl = "https://weights.example/models/".parse()?;
    /// let name = ObjectName::random()?;
    /// let url = folder.of_object(&name);
    /// assert_eq!(url.normal().as_str(), format!("https://weights.example/models/{name}"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If it is none: see [`TypedUrl::is_folder`].
    pub fn of_object(&self, name: &ObjectName) -> Self {
        assert!(self.is_folder(), "the URL of a folder ends in a slash");
        let url = format!("{}{name}", self.normal);
        url.parse().expect("hex digits after a slash keep a URL in normal form")
    }

    /// Looks for what will keep strangers from fetching it, or let them guess
    /// it. The query of a URL is not repeated: it may hold a signature.
    pub fn check(&self, scope: Scope) -> Report {
        let mut report = Report::default();
        let url = self.normal.as_url();
        if self.was_changed() {
            // A query may hold a signature, so it is not repeated.
            report.push(Finding::notice(
                Check::Url,
                format!("the URL is sent and hashed in its normal form, {}", redacted(url)),
            ));
        }
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            report.push(
                Finding::error(Check::Url, format!("validators cannot fetch `{}:`", url.scheme()))
                    .with_remedy("give an https URL"),
            );
            return report;
        }
        if !url.username().is_empty() || url.password().is_some() {
            report.push(
                Finding::error(Check::Url, "the URL contains a user name or password")
                    .with_remedy("make the object readable without credentials"),
            );
        }
        if url.query().is_some_and(is_signed) {
            report.push(
                Finding::error(Check::Url, "the URL is signed and will expire")
                    .with_remedy("make the object public and give its plain URL"),
            );
        }
        if url.fragment().is_some() {
            report.push(
                Finding::warning(
                    Check::Url,
                    "the part after # is hashed by the chain but never sent to the host",
                )
                .with_remedy("leave it out"),
            );
        }
        if scope == Scope::Public {
            if url.scheme() == "http" {
                report.push(
                    Finding::error(
                        Check::Url,
                        "plain http: anybody on the way can change the file",
                    )
                    .with_remedy("serve it by https"),
                );
            }
            if name_bits(url.path()) < NAME_BITS {
                report.push(
                    Finding::warning(
                        Check::ObjectName,
                        "the object's name can be guessed from its hash before the reveal",
                    )
                    .with_remedy(
                        "give the URL of a folder, ending in /, and a random name is chosen for you",
                    ),
                );
            }
        }
        report
    }
}

impl std::str::FromStr for TypedUrl {
    type Err = soma_proto::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { typed: text.to_owned(), normal: text.parse()? })
    }
}

impl From<WeightsUrl> for TypedUrl {
    fn from(normal: WeightsUrl) -> Self {
        Self { typed: normal.as_str().to_owned(), normal }
    }
}

/// Checksum and size of an encrypted file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Blake2b-256 of its bytes.
    pub commitment: Commitment,
    /// Number of its bytes.
    pub size: u64,
}

/// Reads an encrypted file once.
///
/// # Errors
/// [`Error::Weights`].
pub fn measure(path: &Path, options: &Options<'_>) -> Result<Measured> {
    let sealed = soma_crypto::commitment(Input::file(path), options)?;
    Ok(Measured { commitment: Commitment::new(sealed.digest.into_inner()), size: sealed.size })
}

/// Reads a decryption key, hex in a file or, for `-`, from `stdin`. Blanks
/// around it are dropped.
///
/// # Errors
/// [`Error::KeyText`], without the text; [`Error::Io`].
pub fn read_key(argument: &str, stdin: impl Read) -> Result<DecryptionKey> {
    /// Longer than any text of a key with blanks around it.
    const LIMIT: u64 = 4096;
    let mut text = Zeroizing::new(String::with_capacity(LIMIT as usize));
    let io = |source| Error::Io { action: "read", path: argument.into(), source };
    let origin = if argument == "-" {
        stdin.take(LIMIT).read_to_string(&mut text).map_err(io)?;
        "standard input".to_owned()
    } else {
        let file = fs::File::open(argument).map_err(io)?;
        file.take(LIMIT).read_to_string(&mut text).map_err(io)?;
        argument.to_owned()
    };
    DecryptionKey::from_hex_or_base58(text.trim()).map_err(|_| Error::KeyText { origin })
}

/// The signatures of the large stores.
fn is_signed(query: &str) -> bool {
    const MARKS: [&str; 4] = ["x-amz-signature", "x-goog-signature", "sig", "signature"];
    query.split('&').any(|pair| {
        let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        MARKS.contains(&name.as_str())
    })
}

/// The most bits that the parts of a path can hold: four for each character of
/// a part in hex, five for other letters and digits. Words are taken for
/// random too, so this only finds names that are surely short.
fn name_bits(path: &str) -> usize {
    let bits = |part: &str| {
        let characters = part.bytes().filter(u8::is_ascii_alphanumeric).count();
        let hex = part.bytes().all(|b| b.is_ascii_hexdigit() || !b.is_ascii_alphanumeric());
        characters * if hex { 4 } else { 5 }
    };
    path.split('/').map(bits).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;

    fn checked(url: &str, scope: Scope) -> Vec<(Severity, String)> {
        let report = url.parse::<TypedUrl>().unwrap().check(scope);
        report.findings.into_iter().map(|f| (f.severity, f.message)).collect()
    }

    const GOOD: &str = "https://weights.example/qkz7tm3w5vxhc2drnb4ypfga6l";

    #[test]
    fn nothing_to_say_of_a_good_url() {
        assert_eq!(checked(GOOD, Scope::Public), []);
        assert_eq!(checked("http://127.0.0.1:9200/weights.enc", Scope::Local), []);
        let hex = format!("https://weights.example/{}", "0123456789abcdef".repeat(2));
        assert_eq!(checked(&hex, Scope::Public), []);
        let uuid = "https://weights.example/m/3f2a7c1e-9b4d-4e6f-8a1b-2c3d4e5f6a7b/w.enc";
        assert_eq!(checked(uuid, Scope::Public), []);
    }

    #[test]
    fn each_trouble_has_its_finding() {
        use Severity::{Error, Notice, Warning};
        for (url, severity, part) in [
            ("HTTPS://Weights.Example/qkz7tm3w5vxhc2drnb4ypfga6l", Notice, "normal form"),
            ("ftp://weights.example/qkz7tm3w5vxhc2drnb4ypfga6l", Error, "ftp"),
            ("file:///qkz7tm3w5vxhc2drnb4ypfga6l", Error, "file"),
            ("https://a:hush@weights.example/qkz7tm3w5vxhc2drnb4ypfga6l", Error, "password"),
            (
                "https://weights.example/qkz7tm3w5vxhc2drnb4ypfga6l?X-Amz-Signature=hush",
                Error,
                "expire",
            ),
            ("https://weights.example/qkz7tm3w5vxhc2drnb4ypfga6l#x", Warning, "#"),
            ("http://weights.example/qkz7tm3w5vxhc2drnb4ypfga6l", Error, "http"),
            ("https://weights.example/epoch-12/step-3000.enc", Warning, "guessed"),
        ] {
            let findings = checked(url, Scope::Public);
            assert_eq!(findings.len(), 1, "{url}: {findings:?}");
            let (found, message) = &findings[0];
            assert!(*found == severity && message.contains(part), "{url}: {message}");
            assert!(!message.contains("hush"), "{message}");
        }
    }

    #[test]
    fn the_normal_form_is_what_counts() {
        let url: TypedUrl = "http://Host:80/a/../b c".parse().unwrap();
        assert_eq!(url.normal().as_str(), "http://host/b%20c");
        assert!(url.was_changed());
        assert_eq!(url.normal().commitment(), Commitment::of("http://host/b%20c"));
        assert!(!GOOD.parse::<TypedUrl>().unwrap().was_changed());
        assert!("no url".parse::<TypedUrl>().is_err());
    }

    #[test]
    fn keys_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key").display().to_string();
        let hex = "07".repeat(32);
        fs::write(&path, format!("  0x{hex}\n")).unwrap();
        assert_eq!(read_key(&path, std::io::empty()).unwrap().as_bytes(), &[7; 32]);
        assert_eq!(read_key("-", hex.as_bytes()).unwrap().as_bytes(), &[7; 32]);
        for bad in ["", "secret", &hex[1..]] {
            let error = read_key("-", bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("standard input") && !error.contains("secret"), "{error}");
        }
        assert!(matches!(read_key("/nonexistent/key", std::io::empty()), Err(Error::Io { .. })));
    }

    #[test]
    fn a_file_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.enc");
        fs::write(&path, "abc").unwrap();
        let measured = measure(&path, &Options::new()).unwrap();
        assert_eq!(measured.size, 3);
        // RFC 7693 has only the 512-bit digest; this is `b2sum -l 256` of "abc".
        assert_eq!(
            measured.commitment.to_hex(),
            "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"
        );
    }
}
