#include "base/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct yk_digest {
    XXH3_state_t *state;
};

uint64_t yk_hash64(const void *data, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, n, seed);
}

yk_digest *yk_digest_new(void)
{
    yk_digest *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->state = XXH3_createState();
    if (!d->state) {
        free(d);
        return NULL;
    }
    XXH3_128bits_reset(d->state);
    return d;
}

void yk_digest_add(yk_digest *d, const void *data, size_t n)
{
    XXH3_128bits_update(d->state, data, n);
}

static void hex128(XXH128_hash_t h, char hex[33])
{
    snprintf(hex, 33, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

void yk_digest_hex(const yk_digest *d, char hex[33])
{
    hex128(XXH3_128bits_digest(d->state), hex);
}

void yk_digest_free(yk_digest *d)
{
    if (!d) return;
    XXH3_freeState(d->state);
    free(d);
}

void yk_hash128_hex(const void *data, size_t n, char hex[33])
{
    hex128(XXH3_128bits(data, n), hex);
}

void yk_hash128_join(const char *first, const char *second, char hex[33])
{
    char both[2 * 32 + 1];
    snprintf(both, sizeof both, "%.32s%.32s", first, second);
    yk_hash128_hex(both, strlen(both), hex);
}

void yk_hash_sum_add(yk_hash_sum *h, const void *data, size_t n, uint64_t line)
{
    for (size_t at = 0; at < n; at += YK_HASH_LINE, line++) {
        const size_t left = n - at;
        const XXH128_hash_t one =
            XXH3_128bits_withSeed((const char *)data + at, left < YK_HASH_LINE ? left : YK_HASH_LINE, line);
        h->high += one.high64;
        h->low += one.low64;
    }
}

void yk_hash_sum_hex(yk_hash_sum h, char hex[33])
{
    hex128((XXH128_hash_t){.low64 = h.low, .high64 = h.high}, hex);
}

static void hex_bytes(const unsigned char *raw, unsigned n, char *hex)
{
    for (unsigned i = 0; i < n; i++) snprintf(hex + 2 * i, 3, "%02x", raw[i]);
}

void yk_sha256_hex(const void *data, size_t n, char hex[65])
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_Digest(data, n, raw, &len, EVP_sha256(), NULL);
    hex_bytes(raw, len, hex);
}

yk_status yk_sha256_file(const char *path, char hex[65], yk_error *err)
{
    yk_status st = YK_OK;
    unsigned char raw[EVP_MAX_MD_SIZE], *block = NULL;
    unsigned len = 0;
    size_t n;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    FILE *f = fopen(path, "rb");
    if (!f) YK_FAIL(YK_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    block = malloc(1 << 20);
    if (!ctx || !block || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
        YK_FAIL(YK_ERR_MEMORY, "%s: no memory for its SHA-256", path);
    while ((n = fread(block, 1, 1 << 20, f)) > 0) EVP_DigestUpdate(ctx, block, n);
    if (ferror(f)) YK_FAIL(YK_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    EVP_DigestFinal_ex(ctx, raw, &len);
    hex_bytes(raw, len, hex);
done:
    if (f) fclose(f);
    free(block);
    EVP_MD_CTX_free(ctx);
    return st;
}
