/* Expands recipe.def with the row macros that the includer defined; the others expand to nothing and
 * all are undefined afterwards. No include guard: it is meant to be included many times. */
#ifndef GROUP
#define GROUP(...)
#endif
#ifndef INT
#define INT(...)
#endif
#ifndef REAL
#define REAL(...)
#endif
#ifndef FLAG
#define FLAG(...)
#endif
#ifndef TEXT
#define TEXT(...)
#endif
#ifndef PICK
#define PICK(...)
#endif
#ifndef LIST
#define LIST(...)
#endif
#ifndef CORPUS_TEXT
#define CORPUS_TEXT(...)
#endif
#ifndef CORPUS_LIST
#define CORPUS_LIST(...)
#endif
#ifndef CORPUS_REAL
#define CORPUS_REAL(...)
#endif
#ifndef CORPUS_INT
#define CORPUS_INT(...)
#endif
#ifndef CORPUS_PICK
#define CORPUS_PICK(...)
#endif
#include "config/recipe.def"
#undef GROUP
#undef INT
#undef REAL
#undef FLAG
#undef TEXT
#undef PICK
#undef LIST
#undef CORPUS_TEXT
#undef CORPUS_LIST
#undef CORPUS_REAL
#undef CORPUS_INT
#undef CORPUS_PICK
