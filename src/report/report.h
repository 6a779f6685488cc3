/* The report of a run: one self-contained HTML page with inline SVG, made from the files of a run
 * directory alone (summary.json, metrics.jsonl, samples.jsonl, clean/report.json, tokenizer/report.json,
 * recipe.yaml), so that `yoke report DIR` can make it again at any time.
 *
 * metrics.jsonl, one object a line:
 *   {"type":"step","step":s,"loss":nats,"bpb":b|null,"lr":x,"grad_norm":g,"tokens":total,"tokens_per_s":v,"seconds":t,"skipped":bool,
 *    "masked_loss":x|null}
 *   {"type":"eval","step":s,"tokens":total,"bpb":all,"by_domain":{"name":bpb},"masked_accuracy":a,"final":bool}
 *   {"type":"mixture","domains":{"name":{"wanted":share,"realised":share,"epochs":e}}}
 * samples.jsonl: {"step":s,"prompt":"...","text":"..."} */
#ifndef YK_REPORT_REPORT_H
#define YK_REPORT_REPORT_H

#include "base/mem.h"
#include "base/status.h"

#include <jansson.h>

/* Writes <dir>/report.html. Parts whose files are not there are left out. */
yk_status yk_report_write(const char *run_dir, yk_error *err);

/* The end-of-run table (where the time went, the main figures) from summary.json's content. Text, appended. */
void yk_report_table(json_t *summary, yk_buf *out);

#endif
