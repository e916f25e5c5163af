//! The ways this crate can compute AES-256-CTR, and the one place that chooses.

mod portable;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod schedule;

#[cfg(target_arch = "x86_64")]
mod aesni;
#[cfg(target_arch = "x86_64")]
mod vaes256;
#[cfg(target_arch = "x86_64")]
mod vaes512;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
mod armv8;

use std::{env, fmt, str::FromStr, sync::OnceLock};

use crate::Key;

/// Names the environment variable that forces a backend by its name.
const FORCE_VARIABLE: &str = "SOMA_AES";

/// Every backend, the fastest first.
const ALL: [Backend; 5] =
    [Backend::Vaes512, Backend::Vaes256, Backend::AesNi, Backend::Armv8, Backend::Portable];

/// A way to compute AES-256-CTR. All of them give the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// x86-64 with VAES and AVX-512F: four blocks in a register.
    Vaes512,
    /// x86-64 with VAES and AVX2: two blocks in a register.
    Vaes256,
    /// x86-64 with AES-NI.
    AesNi,
    /// AArch64 with the AES extension.
    Armv8,
    /// The `aes` crate, on any machine.
    Portable,
}

impl Backend {
    /// The fastest backend of this machine that passes its known-answer test.
    ///
    /// The environment variable `SOMA_AES` names another one (`portable`, `aes-ni`,
    /// `vaes-256`, `vaes-512`, `armv8`); a name that is unknown or not available here
    /// is ignored. The answer is found once and kept.
    ///
    /// # Panics
    /// If even the portable backend computes AES wrongly: no output could be trusted.
    pub fn detect() -> Self {
        static DETECTED: OnceLock<Backend> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            let forced = env::var(FORCE_VARIABLE).ok().and_then(|name| name.parse().ok());
            forced
                .into_iter()
                .chain(ALL)
                .find(|backend: &Self| backend.is_available() && backend.passes_known_answer())
                .expect("this machine or build computes AES wrongly in every way there is")
        })
    }

    /// The backends this machine can run, the fastest first. Never empty.
    pub fn available() -> impl Iterator<Item = Self> {
        ALL.into_iter().filter(|backend| backend.is_available())
    }

    /// Whether this machine can run the backend.
    #[cfg(target_arch = "x86_64")]
    pub fn is_available(self) -> bool {
        match self {
            Self::Vaes512 => {
                Self::Vaes256.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
            }
            Self::Vaes256 => {
                Self::AesNi.is_available()
                    && is_x86_feature_detected!("vaes")
                    && is_x86_feature_detected!("avx2")
            }
            Self::AesNi => is_x86_feature_detected!("aes") && is_x86_feature_detected!("avx"),
            Self::Armv8 => false,
            Self::Portable => true,
        }
    }

    /// Whether this machine can run the backend.
    #[cfg(target_arch = "aarch64")]
    pub fn is_available(self) -> bool {
        match self {
            Self::Armv8 => std::arch::is_aarch64_feature_detected!("aes"),
            Self::Portable => true,
            Self::Vaes512 | Self::Vaes256 | Self::AesNi => false,
        }
    }

    /// Whether this machine can run the backend.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub fn is_available(self) -> bool {
        self == Self::Portable
    }

    /// Whether the processor's own AES instructions do the work.
    pub fn is_hardware(self) -> bool {
        self != Self::Portable
    }

    /// The backend's name, as `SOMA_AES` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vaes512 => "vaes-512",
            Self::Vaes256 => "vaes-256",
            Self::AesNi => "aes-ni",
            Self::Armv8 => "armv8",
            Self::Portable => "portable",
        }
    }

    /// Runs the known-answer test of this backend, once per process.
    pub(crate) fn passes_known_answer(self) -> bool {
        static PASSED: [OnceLock<bool>; ALL.len()] = [const { OnceLock::new() }; ALL.len()];
        let position = ALL.iter().position(|other| *other == self);
        let slot = position.expect("every backend is listed in ALL");
        *PASSED[slot].get_or_init(|| known_answer(self))
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No backend has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no AES backend has this name")]
pub struct UnknownBackend;

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        let found = ALL.into_iter().find(|backend| backend.name() == name);
        found.ok_or(UnknownBackend)
    }
}

/// The expanded key in the form the chosen backend wants it. Wiped on drop.
///
/// A variant of a kernel exists only where [`Backend::is_available`] said yes: that is
/// what the calls below rely on.
pub(crate) struct Keystream(Expanded);

#[allow(clippy::large_enum_variant, reason = "one lives on the stack for a whole pass")]
enum Expanded {
    #[cfg(target_arch = "x86_64")]
    Vaes512(schedule::Schedule),
    #[cfg(target_arch = "x86_64")]
    Vaes256(schedule::Schedule),
    #[cfg(target_arch = "x86_64")]
    AesNi(schedule::Schedule),
    #[cfg(target_arch = "aarch64")]
    Armv8(schedule::Schedule),
    Portable(portable::Keystream),
}

impl Keystream {
    /// Expands `key`.
    ///
    /// # Panics
    /// If the backend is not available; callers have checked.
    pub(crate) fn new(key: &Key, backend: Backend) -> Self {
        assert!(backend.is_available(), "{backend} is not available");
        Self(match backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes512 => Expanded::Vaes512(expand(key)),
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes256 => Expanded::Vaes256(expand(key)),
            #[cfg(target_arch = "x86_64")]
            Backend::AesNi => Expanded::AesNi(expand(key)),
            #[cfg(target_arch = "aarch64")]
            Backend::Armv8 => Expanded::Armv8(expand(key)),
            _ => Expanded::Portable(portable::Keystream::new(key)),
        })
    }

    /// XORs whole and partial blocks of keystream, from block `block` on, into `data`.
    ///
    /// `data` begins on a block boundary; its last block may be partial. The counter
    /// wraps at 2^128.
    pub(crate) fn apply(&self, block: u128, data: &mut [u8]) {
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the variant exists, so VAES, AVX-512F and AVX-512BW were found.
            Expanded::Vaes512(schedule) => unsafe { vaes512::apply(schedule, block, data) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the variant exists, so VAES and AVX2 were found.
            Expanded::Vaes256(schedule) => unsafe { vaes256::apply(schedule, block, data) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the variant exists, so AES-NI and AVX were found.
            Expanded::AesNi(schedule) => unsafe { aesni::apply(schedule, block, data) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: the variant exists, so the AES extension was found.
            Expanded::Armv8(schedule) => unsafe { armv8::apply(schedule, block, data) },
            Expanded::Portable(keystream) => keystream.apply(block, data),
        }
    }
}

/// Expands `key` for a kernel of this machine; its backend was found available.
#[cfg(target_arch = "x86_64")]
fn expand(key: &Key) -> schedule::Schedule {
    // SAFETY: every backend of this architecture needs AES-NI, and `Keystream::new`
    // asserts that the backend is available.
    unsafe { x86::expand(key) }
}

/// Expands `key` for a kernel of this machine; its backend was found available.
#[cfg(target_arch = "aarch64")]
fn expand(key: &Key) -> schedule::Schedule {
    // SAFETY: the one backend of this architecture needs the AES extension, and
    // `Keystream::new` asserts that the backend is available.
    unsafe { armv8::expand(key) }
}

/// NIST SP 800-38A, F.5.5 (CTR-AES256.Encrypt): key, first counter block, plaintext, ciphertext.
const ANSWER_KEY: [u8; 32] = [
    0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae, 0xf0, 0x85, 0x7d, 0x77, 0x81,
    0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4,
];
const ANSWER_COUNTER: u128 = 0xf0f1_f2f3_f4f5_f6f7_f8f9_fafb_fcfd_feff;
const ANSWER_PLAINTEXT: [u128; 4] = [
    0x6bc1_bee2_2e40_9f96_e93d_7e11_7393_172a,
    0xae2d_8a57_1e03_ac9c_9eb7_6fac_45af_8e51,
    0x30c8_1c46_a35c_e411_e5fb_c119_1a0a_52ef,
    0xf69f_2445_df4f_9b17_ad2b_417b_e66c_3710,
];
const ANSWER_CIPHERTEXT: [u128; 4] = [
    0x601e_c313_7757_89a5_b7a7_f504_bbf3_d228,
    0xf443_e3ca_4d62_b59a_ca84_e990_caca_f5c5,
    0x2b09_30da_a23d_e94c_e870_17ba_2d84_988d,
    0xdfc9_c58d_b67a_ada6_13c2_dd08_4579_41a6,
];

/// Blocks of the comparison with the portable backend: more than any kernel takes at once.
const CROSS_CHECK_BYTES: usize = 16 * 67 + 5;

/// Checks `backend` against the published vector, then against the portable backend
/// on a longer stretch that crosses a carry out of the low 32 and 64 bits.
fn known_answer(backend: Backend) -> bool {
    let key = Key::from_bytes(ANSWER_KEY);
    let keystream = Keystream::new(&key, backend);
    let mut data = ANSWER_PLAINTEXT.map(u128::to_be_bytes).concat();
    keystream.apply(ANSWER_COUNTER, &mut data);
    if data != ANSWER_CIPHERTEXT.map(u128::to_be_bytes).concat() {
        return false;
    }
    let portable = Keystream::new(&key, Backend::Portable);
    [(1 << 32) - 33, (1 << 64) - 33, u128::MAX - 33].into_iter().all(|block| {
        let (mut ours, mut theirs) = ([0x5a; CROSS_CHECK_BYTES], [0x5a; CROSS_CHECK_BYTES]);
        keystream.apply(block, &mut ours);
        portable.apply(block, &mut theirs);
        ours == theirs
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_available_backend_passes_its_known_answer() {
        for backend in Backend::available() {
            assert!(backend.passes_known_answer(), "{backend}");
        }
        assert!(Backend::available().any(|backend| backend == Backend::Portable));
    }

    #[test]
    fn names_are_read_back() {
        for backend in ALL {
            assert_eq!(backend.name().parse(), Ok(backend));
        }
        assert_eq!("quantum".parse::<Backend>(), Err(UnknownBackend));
    }
}
