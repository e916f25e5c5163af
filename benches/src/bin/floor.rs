//! `floor FILE`: seconds that one Blake2b-256 stream of `blake2b_simd` takes over the
//! bytes of a file that are already in memory; then seconds and digest on one line.
//!
//! No pass that commits to a ciphertext can be faster than this: each block of the hash
//! needs the one before. Reading the file is not part of the time.

use std::{env, error::Error, fs, time::Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("usage: floor FILE")?;
    let bytes = fs::read(path)?;
    let begin = Instant::now();
    let digest = soma_benches::blake2b_simd(&bytes);
    let seconds = begin.elapsed().as_secs_f64();
    println!("{seconds:.6} {}", soma_crypto::Digest::new(digest));
    Ok(())
}
