/* Expands the rows of one .def file (ROWS; recipe.def if it is not defined) with the includer's macros
 * GROUP(group, help) and ROW(group, name, KIND, default, low, high, words, help), where KIND is INT, REAL,
 * FLAG, TEXT, PICK or LIST. Those not defined expand to nothing, and all are undefined afterwards. No include
 * guard: it is meant to be included many times. */
#ifndef ROWS
#define ROWS "config/recipe.def"
#endif
#ifndef GROUP
#define GROUP(...)
#endif
#ifndef ROW
#define ROW(...)
#endif
#define INT(group, name, def, low, high, help) ROW(group, name, INT, def, low, high, NULL, help)
#define REAL(group, name, def, low, high, help) ROW(group, name, REAL, def, low, high, NULL, help)
#define FLAG(group, name, def, help) ROW(group, name, FLAG, #def, NULL, NULL, NULL, help)
#define TEXT(group, name, def, help) ROW(group, name, TEXT, def, NULL, NULL, NULL, help)
#define PICK(group, name, def, words, help) ROW(group, name, PICK, def, NULL, NULL, words, help)
#define LIST(group, name, def, help) ROW(group, name, LIST, def, NULL, NULL, NULL, help)
#include ROWS
#undef ROWS
#undef GROUP
#undef ROW
#undef INT
#undef REAL
#undef FLAG
#undef TEXT
#undef PICK
#undef LIST
