#include "run/manifest.h"

#include "base/file.h"
#include "base/json.h"
#include "config.h"
#include "simd/kernels.h"
#include "train/session.h"

#include <hdf5.h>
#include <libxml/xmlversion.h>
#include <lzma.h>
#include <openssl/crypto.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <utf8proc.h>
#include <yaml.h>
#include <zlib.h>
#include <zstd.h>

static json_t *library_versions(void)
{
    unsigned major = 0, minor = 0, release = 0;
    char hdf5[32], pcre2[64] = "";
    H5get_libversion(&major, &minor, &release);
    snprintf(hdf5, sizeof hdf5, "%u.%u.%u", major, minor, release);
    pcre2_config(PCRE2_CONFIG_VERSION, pcre2);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "hdf5", hdf5, "jansson", JANSSON_VERSION,
                     "libxml2", LIBXML_DOTTED_VERSION, "libyaml", yaml_get_version_string(), "lzma",
                     lzma_version_string(), "openssl", OpenSSL_version(OPENSSL_VERSION_STRING), "pcre2", pcre2,
                     "utf8proc", utf8proc_version(), "zlib", zlibVersion(), "zstd", ZSTD_versionString());
}

static yk_status read_corpus(const char *path, json_t **corpus, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf text = {0};
    json_error_t why;
    YK_TRY(yk_file_read(path, &text, err));
    *corpus = json_loadb(text.data, text.len, 0, &why);
    if (!*corpus)
        YK_FAIL(YK_ERR_INPUT, "%s:%d:%d: %s; corpus_manifest must name a JSON file", path, why.line, why.column,
                why.text);
done:
    yk_buf_free(&text);
    return st;
}

yk_status yk_manifest_write(const yk_job *job, yk_error *err)
{
    yk_status st = YK_OK;
    const yk_kernels *k;
    char processor[128], *path = yk_path("%s/manifest.json", job->dir);
    json_t *manifest = NULL, *corpus = NULL;
    if (!path) YK_FAIL(YK_ERR_MEMORY, "out of memory");
    YK_TRY(yk_kernels_pick(&k, NULL, YK_FP32, err));
    yk_processor_name(processor, sizeof processor);
    if (job->recipe->corpus_manifest[0]) YK_TRY(read_corpus(job->recipe->corpus_manifest, &corpus, err));
    manifest = json_pack("{s:{s:s, s:s, s:s}, s:{s:s, s:i}, s:o, s:O*}", "yoke", "version", PACKAGE_VERSION, "numerics",
                         yk_contract_of(job->recipe), "isa", k->name, "machine", "processor", processor, "threads",
                         job->team->threads, "libraries", library_versions(), "corpus", corpus);
    YK_TRY(yk_json_write(path, manifest, err));
    json_object_set_new(job->summary, "version", json_string(PACKAGE_VERSION));
    json_object_set_new(job->summary, "processor", json_string(processor));
done:
    json_decref(corpus);
    json_decref(manifest);
    free(path);
    return st;
}
