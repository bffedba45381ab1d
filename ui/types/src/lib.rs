//! Types that cross between engine, shell and user interface.
