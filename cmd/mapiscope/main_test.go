package main

import "flag"

// update rewrites golden files and the expected files of scripts.
var update = flag.Bool("update", false, "rewrite golden files")
