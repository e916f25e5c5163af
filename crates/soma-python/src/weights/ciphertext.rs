//! Ciphertext in memory that remembers its commitment.
//!
//! Whoever encrypts weights commits to the ciphertext next, and the hash takes longer than
//! all the rest together. So both happen in one pass, and the digest travels with the
//! bytes: they are of a type of their own, derived from `bytes` and made only here, with
//! room for the digest behind what Python counts as their contents. Bytes never change,
//! and Python can neither make nor relabel an instance, so the digest is always theirs.
//! Slices, copies and pickles are plain bytes.
//!
//! The one module of this crate with `unsafe` code: PyO3 has no bytes that are written
//! once, without being filled with zeros first while the interpreter is locked.

#![allow(unsafe_code, reason = "see above; everything else in the crate denies it")]

use std::ffi::CStr;
use std::io::{self, Write};
use std::ptr;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple, PyType};
use pyo3::{IntoPyObjectExt, ffi};
use soma_crypto::Digest;

use crate::error::{Error, Result};

const NAME: &CStr = c"soma.Ciphertext";
const DOC: &CStr = c"Bytes that were encrypted here, with their commitment at hand.";

/// Behind the contents: a zero as after all bytes of Python, then the digest.
const TAIL: usize = 1 + Digest::LENGTH;

/// Bytes that are being written and that nobody else has seen yet.
pub(crate) struct Unfinished {
    object: Py<PyBytes>,
    start: Start,
    len: usize,
    written: usize,
}

/// Where the contents begin.
struct Start(*mut u8);

// SAFETY: the memory belongs to an object that only its `Unfinished` knows.
unsafe impl Send for Start {}

impl Unfinished {
    /// Room for `len` bytes.
    ///
    /// # Errors
    /// MemoryError.
    pub(crate) fn new(py: Python<'_>, len: usize) -> PyResult<Self> {
        let room = len.checked_add(TAIL).and_then(|room| isize::try_from(room).ok());
        let room = room.ok_or_else(|| pyo3::exceptions::PyMemoryError::new_err("too long"))?;
        // SAFETY: the interpreter is locked; without a source the contents are left as
        // they are, and a failure is a null pointer with an exception set.
        let object = unsafe {
            let object = ffi::PyBytes_FromStringAndSize(ptr::null(), room);
            Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked::<PyBytes>()
        };
        // SAFETY: the object is one of bytes.
        let start = unsafe { ffi::PyBytes_AsString(object.as_ptr()) }.cast::<u8>();
        Ok(Self { object: object.unbind(), start: Start(start), len, written: 0 })
    }

    /// Puts bytes behind those that are there; how many found room.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.len - self.written);
        // SAFETY: `count` bytes fit behind those written, and `bytes` lies elsewhere,
        // since nobody else knows this memory.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.0.add(self.written), count) };
        self.written += count;
        count
    }

    /// The bytes, with their digest if it is known.
    ///
    /// # Errors
    /// If fewer were written than there is room for.
    pub(crate) fn finish(
        self,
        py: Python<'_>,
        digest: Option<Digest>,
    ) -> Result<Bound<'_, PyBytes>> {
        if self.written != self.len {
            let (found, expected) = (self.written, self.len);
            return Err(Error::Other(format!("{found} bytes came where {expected} were expected")));
        }
        let object = self.object.into_bound(py);
        // SAFETY: `new` made room for `len + TAIL` bytes, and the object was never shared.
        let tail = unsafe {
            let tail = self.start.0.add(self.len);
            tail.write(0);
            (*object.as_ptr().cast::<ffi::PyVarObject>()).ob_size = self.len as isize;
            tail.add(1)
        };
        if let Some(digest) = digest {
            let kind = kind(py)?.clone_ref(py);
            // SAFETY: the new type has the layout of the old one: no fields, no dictionary,
            // no collector. The object owns a reference to its type, as every instance of
            // a type on the heap does; `bytes` itself is not counted.
            unsafe {
                ptr::copy_nonoverlapping(digest.as_bytes().as_ptr(), tail, Digest::LENGTH);
                (*object.as_ptr()).ob_type = kind.into_ptr().cast();
            }
        }
        Ok(object)
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.put(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What these bytes remember, if they were encrypted here.
pub(crate) fn digest(bytes: &Bound<'_, PyBytes>) -> Option<Digest> {
    let kind = KIND.get(bytes.py())?;
    if !bytes.get_type().is(kind) {
        return None;
    }
    let contents = bytes.as_bytes();
    let mut digest = [0; Digest::LENGTH];
    // SAFETY: instances of this type come from `finish` alone, which wrote the digest there.
    unsafe {
        let tail = contents.as_ptr().add(contents.len() + 1);
        ptr::copy_nonoverlapping(tail, digest.as_mut_ptr(), Digest::LENGTH);
    }
    Some(Digest::new(digest))
}

static KIND: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// The type: `bytes` that Python cannot instantiate, derive from, change, or put in place
/// of another object's type.
fn kind(py: Python<'_>) -> PyResult<&Py<PyType>> {
    KIND.get_or_try_init(py, || {
        let reduce = ffi::PyMethodDef {
            ml_name: c"__reduce__".as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunction: reduce },
            ml_flags: ffi::METH_NOARGS,
            ml_doc: ptr::null(),
        };
        // As long-lived as the type, which is never taken down.
        let methods = Box::leak(Box::new([reduce, ffi::PyMethodDef::zeroed()]));
        let mut slots = [
            ffi::PyType_Slot { slot: ffi::Py_tp_methods, pfunc: methods.as_mut_ptr().cast() },
            ffi::PyType_Slot { slot: ffi::Py_tp_doc, pfunc: DOC.as_ptr().cast_mut().cast() },
            ffi::PyType_Slot { slot: 0, pfunc: ptr::null_mut() },
        ];
        let flags = ffi::Py_TPFLAGS_DEFAULT
            | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION
            | ffi::Py_TPFLAGS_IMMUTABLETYPE;
        let mut spec = ffi::PyType_Spec {
            name: NAME.as_ptr(),
            // Those of the base.
            basicsize: 0,
            itemsize: 0,
            flags: flags as u32,
            slots: slots.as_mut_ptr(),
        };
        let bases = PyTuple::new(py, [py.get_type::<PyBytes>()])?;
        // SAFETY: name, doc and methods live as long as the program, the rest longer than
        // the call.
        let kind = unsafe {
            let kind = ffi::PyType_FromSpecWithBases(&mut spec, bases.as_ptr());
            Bound::from_owned_ptr_or_err(py, kind)?.cast_into::<PyType>()?
        };
        Ok(kind.unbind())
    })
}

/// `__reduce__`: pickles and copies are plain bytes.
unsafe extern "C" fn reduce(this: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    Python::attach(|py| {
        // SAFETY: the interpreter calls this with an instance, which it holds.
        let this = unsafe { Bound::from_borrowed_ptr(py, this) };
        let plain = || {
            let contents = PyBytes::new(py, this.cast::<PyBytes>()?.as_bytes());
            (py.get_type::<PyBytes>(), (contents,)).into_py_any(py)
        };
        match plain() {
            Ok(answer) => answer.into_ptr(),
            Err(error) => {
                error.restore(py);
                ptr::null_mut()
            }
        }
    })
}
