/* What a run was made with: manifest.json in the run directory. */
#ifndef YK_RUN_MANIFEST_H
#define YK_RUN_MANIFEST_H

#include "base/status.h"
#include "config/job.h"

/* Writes {"yoke": {version, numerics, isa}, "machine": {processor, threads}, "libraries": {name: version},
 * "corpus": the JSON file that the key corpus_manifest names}, and sets the summary's `version` and
 * `processor`. Fails naming file and line when that file is missing or is not JSON. */
yk_status yk_manifest_write(const yk_job *job, yk_error *err);

#endif
