/* The report of a run: one self-contained HTML page with inline SVG, made from the files of a run
 * directory alone, so that `yoke report DIR` can make it again at any time: summary.json,
 * metrics.jsonl, samples.jsonl, manifest.json, clean/report.json, tokenizer/report.json,
 * recipe.yaml.
 *
 * metrics.jsonl, one object a line:
 *   {"type":"step","step":s,"loss":nats,"bpb":b|null,"lr":x,"grad_norm":g,"tokens":total,
 *    "tokens_per_s":v,"seconds":t,"skipped":bool,"masked_loss":x|null,"loss_scale":s}
 *   {"type":"eval","step":s,"tokens":total,"bpb":all,"by_domain":{"name":bpb},
 *    "masked_accuracy":a,"final":bool}
 *   {"type":"mixture","domains":{"name":{"wanted":share,"realised":share,"epochs":e}}}
 * A step that comes again (after a restart) replaces what stands from there on.
 * samples.jsonl: {"step":s,"prompt":"...","text":"..."}; text may begin with the prompt. */
#ifndef YK_REPORT_REPORT_H
#define YK_REPORT_REPORT_H

#include "base/mem.h"
#include "base/status.h"

#include <jansson.h>

/* Writes <dir>/report.html, which is well-formed XML as well. Parts whose files are not there are
 * left out; files and lines that are damaged are left out with a note in the page. The page depends
 * on nothing but the files (and on the directory's name, where summary.json has none).
 * YK_ERR_INPUT when the directory holds no run. */
yk_status yk_report_write(const char *run_dir, yk_error *err);

/* Writes one page about several runs, at least two: the keys of their recipes that differ beside what came of them, their
 * held-out loss over tokens and over FLOPs of training, and, of runs with a search, its scores over the key that was
 * searched first. */
yk_status yk_compare_write(const char *const *run_dirs, size_t n, const char *path, yk_error *err);

/* The end-of-run table (where the time went, the main figures) from summary.json's content: UTF-8
 * text of at most 80 columns, appended. `summary` may be NULL. */
void yk_report_table(json_t *summary, yk_buf *out);

#endif
