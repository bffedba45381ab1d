//! EDF+ and BDF+ writers and de-identification.
