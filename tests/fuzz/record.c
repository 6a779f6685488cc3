/* The metrics.jsonl of a run, as the report reads it, and behind a NUL the summary that the table at the end is of. */
#include "fuzz.h"

#include "report/record.h"
#include "report/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    yk_error err = {""};
    yk_record r;
    yk_buf table = {0};
    fuzz_halves h = fuzz_cut(data, n);
    fuzz_file("metrics.jsonl", data, h.first_n);
    fuzz_must(yk_record_read(&r, fuzz_place_of()->dir, &err) == YK_OK, err.text);
    for (size_t i = 0; i < r.domain_count; i++)
        fuzz_must(yk_record_domain(&r, r.domains[i]) == (int)i, "a domain is found by its name");
    yk_record_free(&r);
    json_t *summary = json_loadb(h.second, h.second_n, 0, NULL);
    if (json_is_object(summary)) yk_report_table(summary, &table);
    json_decref(summary);
    yk_buf_free(&table);
    fuzz_cut_free(&h);
    return 0;
}
