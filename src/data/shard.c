#include "data/shard.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "text/documents.h"
#include "token/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char MAGIC[8] = "YKSHARD1";
enum { BATCH_BYTES = 4 << 20 }; /* a rank */

typedef struct header {
    char magic[8];
    uint64_t id_bytes, documents, tokens, bytes, hash, zero[2];
} header;

char *yk_shard_path(const char *run_dir, const char *domain, bool heldout)
{
    return yk_path("%s/data/%s.%s.tok", run_dir, domain, heldout ? "heldout" : "train");
}

/* Sizes add up, offsets ascend, the hash is right (it does not cover the head, whose every field is checked). */
static yk_status check(const yk_shard *s, const header *h, const char *path, yk_error *err)
{
    uint64_t table = (2 * h->documents + 1) * sizeof(uint64_t);
    if (memcmp(h->magic, MAGIC, sizeof MAGIC) != 0 || (h->id_bytes != 2 && h->id_bytes != 4))
        return yk_fail(err, YK_ERR_DAMAGED, "%s: not a token shard, or its head is damaged; remove it and run again",
                       path);
    if (h->documents > s->map_size / 16 || h->tokens > s->map_size / h->id_bytes ||
        sizeof *h + table + h->tokens * h->id_bytes != s->map_size)
        return yk_fail(err, YK_ERR_DAMAGED, "%s: truncated or extended: %zu bytes do not fit its head; remove it and "
                       "run again", path, s->map_size);
    if (yk_hash64((const char *)s->map + sizeof *h, s->map_size - sizeof *h, 0) != h->hash)
        return yk_fail(err, YK_ERR_DAMAGED, "%s: corrupt: its hash is not the one written; remove it and run again",
                       path);
    bool good = s->offset[0] == 0 && s->offset[h->documents] == h->tokens && !h->zero[0] && !h->zero[1];
    uint64_t bytes = 0;
    for (uint64_t d = 0; d < h->documents; d++) {
        good = good && s->offset[d] <= s->offset[d + 1];
        bytes += s->length[d];
    }
    good = good && bytes == h->bytes;
    if (good) return YK_OK;
    return yk_fail(err, YK_ERR_DAMAGED, "%s: its head and its document table disagree; remove it and run again", path);
}

yk_status yk_shard_open(yk_shard *s, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    struct stat info;
    *s = (yk_shard){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) YK_FAIL(YK_ERR_IO, "%s: cannot open: %s; run the tokenizer stage first", path, strerror(errno));
    if (fstat(fd, &info) != 0) YK_FAIL(YK_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    if ((size_t)info.st_size < sizeof(header) + sizeof(uint64_t))
        YK_FAIL(YK_ERR_DAMAGED, "%s: truncated: %lld bytes; remove it and run again", path, (long long)info.st_size);
    s->map_size = (size_t)info.st_size;
    s->map = mmap(NULL, s->map_size, PROT_READ, MAP_SHARED, fd, 0);
    if (s->map == MAP_FAILED) {
        s->map = NULL;
        YK_FAIL(YK_ERR_IO, "%s: cannot be mapped: %s", path, strerror(errno));
    }
    const header *h = s->map;
    s->documents = h->documents;
    s->tokens = h->tokens;
    s->bytes = h->bytes;
    s->hash = h->hash;
    s->id_bytes = (int)h->id_bytes;
    s->offset = (const uint64_t *)(h + 1);
    s->length = s->offset + h->documents + 1;
    s->ids = s->length + h->documents;
    YK_TRY(check(s, h, path, err));
done:
    if (fd >= 0) close(fd);
    if (st != YK_OK) yk_shard_close(s);
    return st;
}

void yk_shard_close(yk_shard *s)
{
    if (s->map) munmap(s->map, s->map_size);
    *s = (yk_shard){0};
}

/* Documents are encoded a batch at a time by the team and appended in order. */
typedef struct writer {
    yk_batch batch;
    yk_buf out; /* ids in file form */
    uint64_t *offset, *length;
    size_t documents, offset_room, length_room;
    uint64_t tokens, bytes;
    int id_bytes;
} writer;

static yk_status flush(writer *w, yk_error *err)
{
    yk_status st = YK_OK;
    YK_TRY(yk_batch_encode(&w->batch, err));
    for (size_t d = 0; d < w->batch.n; d++) {
        const yk_ids *ids = &w->batch.ids[d];
        YK_ROOM(w->offset, w->documents + 1, w->offset_room);
        YK_ROOM(w->length, w->documents, w->length_room);
        w->length[w->documents] = yk_batch_length(&w->batch, d);
        w->bytes += w->length[w->documents];
        w->tokens += ids->n;
        w->offset[++w->documents] = w->tokens;
        for (size_t i = 0; i < ids->n; i++) {
            uint32_t wide = (uint32_t)ids->id[i];
            uint16_t narrow = (uint16_t)wide;
            yk_buf_add(&w->out, w->id_bytes == 2 ? (void *)&narrow : (void *)&wide, (size_t)w->id_bytes);
        }
    }
    yk_batch_clear(&w->batch);
done:
    return st;
}

static yk_status take(void *context, const yk_document *doc, yk_error *err)
{
    yk_status st = YK_OK;
    writer *w = context;
    YK_TRY(yk_batch_add(&w->batch, doc->text, doc->length, err));
    if (w->batch.text.len >= BATCH_BYTES * (size_t)yk_comm_size(w->batch.comm)) YK_TRY(flush(w, err));
done:
    return st;
}

static yk_status publish(const writer *w, const char *path, yk_error *err)
{
    yk_status st = YK_OK;
    yk_buf body = {0};
    yk_outfile o = {0};
    header h = {.id_bytes = (uint64_t)w->id_bytes, .documents = w->documents, .tokens = w->tokens, .bytes = w->bytes};
    memcpy(h.magic, MAGIC, sizeof MAGIC);
    yk_buf_add(&body, w->offset, (w->documents + 1) * sizeof *w->offset);
    yk_buf_add(&body, w->length, w->documents * sizeof *w->length);
    yk_buf_add(&body, w->out.data, w->out.len);
    h.hash = yk_hash64(body.data, body.len, 0);
    YK_TRY(yk_outfile_open(&o, path, err));
    fwrite(&h, sizeof h, 1, o.f);
    fwrite(body.data, 1, body.len, o.f);
    YK_TRY(yk_outfile_commit(&o, err));
done:
    yk_buf_free(&body);
    return st;
}

yk_status yk_shard_write(const char *documents, const char *shard, const yk_tokenizer *t, const yk_team *team,
                         yk_comm *comm, yk_error *err)
{
    yk_status st = YK_OK;
    writer w = {.id_bytes = yk_tokenizer_vocab(t) <= 65536 ? 2 : 4};
    YK_TRY(yk_batch_start(&w.batch, team, comm, t, false, err));
    YK_NEW(w.offset, 16);
    w.offset_room = 16;
    YK_TRY(yk_documents_read(documents, take, &w, err));
    YK_TRY(flush(&w, err));
    if (yk_comm_leads(comm)) YK_TRY(publish(&w, shard, err));
done:
    yk_batch_free(&w.batch);
    free(w.offset);
    free(w.length);
    yk_buf_free(&w.out);
    return yk_comm_agree(comm, st, err);
}
