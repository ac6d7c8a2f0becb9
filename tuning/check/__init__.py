"""Will the service accept it? Files, rows, references and tokens, held against schemas and limits."""
