//! Properties of the byte forms, and the places where a lenient decoder would
//! accept two byte strings for one value.

mod bitmap;
mod ed25519;
mod round_trip;
mod strict;
