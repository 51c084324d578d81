//! SEAM Vfs (being built)
