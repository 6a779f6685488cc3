/* Token shards: the documents of one domain and split as token ids, mapped into memory.
 *
 * File: a 64-byte header (magic "YKSHARD1", id bytes 2 or 4, documents, tokens, source bytes, XXH3 of what
 * follows), then the document table (documents + 1 offsets, u64), then the byte lengths of the documents
 * (u64 each), then the ids. Little-endian. doc/formats.md has the layout. */
#ifndef YK_DATA_SHARD_H
#define YK_DATA_SHARD_H

#include "base/status.h"
#include "comm/comm.h"
#include "config/job.h"
#include "token/tokenizer.h"

typedef struct yk_shard {
    uint64_t documents, tokens, bytes; /* bytes: of the text the ids stand for */
    const uint64_t *offset;            /* [documents + 1] first token of each  */
    const uint64_t *length;            /* [documents] bytes of text            */
    const void *ids;                   /* u16 or u32                           */
    int id_bytes;
    uint64_t hash;                     /* of the content */
    void *map; /* private */
    size_t map_size;
} yk_shard;

static inline int32_t yk_shard_id(const yk_shard *s, uint64_t i)
{
    return s->id_bytes == 2 ? ((const uint16_t *)s->ids)[i] : (int32_t)((const uint32_t *)s->ids)[i];
}

/* YK_ERR_DAMAGED when size, header or hash do not fit. */
yk_status yk_shard_open(yk_shard *s, const char *path, yk_error *err);
void yk_shard_close(yk_shard *s);

/* Encodes a document file (text/documents.h) into a shard, over the team and the ranks of `comm`;
 * published at the end, by rank 0. No special tokens are added: a document's ids are those of its
 * text alone. */
yk_status yk_shard_write(const char *documents, const char *shard, const yk_tokenizer *t,
                         const yk_team *team, yk_comm *comm, yk_error *err);

/* <dir>/data/<domain>.<train|heldout>.tok; free() it. */
char *yk_shard_path(const char *run_dir, const char *domain, bool heldout);

/* The tokenizer stage: trains (or copies) the tokenizer from the clean training documents, writes
 * <dir>/tokenizer/tokenizer.json, encodes every domain and split, and writes <dir>/tokenizer/report.json.
 * Sets summary members tokenizer.vocab, tokenizer.bytes_per_token (training text),
 * tokenizer.by_domain{name: bytes_per_token}, tokenizer.train_mb_per_s, tokenizer.encode_mb_per_s. */
yk_status yk_tokenizer_stage(const yk_job *job, bool *finished, yk_error *err);

#endif
