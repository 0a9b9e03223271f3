//! Events onto spans: the mapping, the layer, and what is exported.
