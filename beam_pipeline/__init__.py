"""How the transforms run in parallel: the only importer of Apache Beam."""
