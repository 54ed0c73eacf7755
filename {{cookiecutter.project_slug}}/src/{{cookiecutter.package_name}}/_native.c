/* CRC-32C (Castagnoli) of any bytes-like object.
 *
 * The kernel is the slicing of Kounavis and Berry ("A systematic approach to
 * building high performance software-based CRC generators", 2005), with sixteen
 * tables instead of their eight: sixteen look-ups advance sixteen bytes, and none
 * waits for another.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

/* RFC 3720, section 12.1: 0x11EDC6F41, written in reflected bit order. */
#define POLYNOMIAL 0x82F63B78u
#define SLICES 16

/* To release the GIL and take it again costs some tens of nanoseconds. From this
 * size on that is a small part of the call; `make bench` shows both sides of it. */
#define GIL_RELEASE_BYTES 8192

/* table[k][byte] is the checksum of `byte` followed by k zero bytes. */
typedef struct {
    uint32_t table[SLICES][256];
} native_state;

static void
fill_table(native_state *state)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1u) ? POLYNOMIAL : 0u);
        }
        state->table[0][byte] = crc;
    }
    for (int slice = 1; slice < SLICES; slice++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t crc = state->table[slice - 1][byte];
            state->table[slice][byte] = (crc >> 8) ^ state->table[0][crc & 0xFF];
        }
    }
}

/* Compilers turn this into one load where the machine is little-endian. */
static inline uint32_t
load_little_endian(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16
         | (uint32_t)bytes[3] << 24;
}

/* What the four bytes of a word become when `zeros` more bytes follow them. */
static inline uint32_t
advance(const native_state *state, uint32_t word, int zeros)
{
    return state->table[zeros + 3][word & 0xFF] ^ state->table[zeros + 2][(word >> 8) & 0xFF]
         ^ state->table[zeros + 1][(word >> 16) & 0xFF] ^ state->table[zeros][word >> 24];
}

static uint32_t
update(const native_state *state, uint32_t crc, const unsigned char *data, size_t size)
{
    crc = ~crc;
    for (; size >= SLICES; data += SLICES, size -= SLICES) {
        crc = advance(state, crc ^ load_little_endian(data), 12)
            ^ advance(state, load_little_endian(data + 4), 8)
            ^ advance(state, load_little_endian(data + 8), 4)
            ^ advance(state, load_little_endian(data + 12), 0);
    }
    for (; size > 0; data++, size--) {
        crc = (crc >> 8) ^ state->table[0][(crc ^ *data) & 0xFF];
    }
    return ~crc;
}

PyDoc_STRVAR(crc32c_doc,
"crc32c($module, data, value=0, /)\n"
"--\n"
"\n"
"Return the CRC-32C (Castagnoli, RFC 3720) of data.\n"
"\n"
"  data\n"
"    A bytes-like object, contiguous in memory.\n"
"  value\n"
"    The checksum of what comes before data: an int from 0 to 2**32 - 1.\n"
"\n"
"crc32c(b + c) equals crc32c(c, crc32c(b)). The result is an int from 0 to\n"
"2**32 - 1.\n"
"\n"
"Raises TypeError when data is not bytes-like or value is no int,\n"
"BufferError when data is not contiguous, OverflowError when value is out of\n"
"range.");

static PyObject *
native_crc32c(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1 || nargs > 2) {
        PyErr_Format(PyExc_TypeError, "crc32c() takes 1 or 2 arguments (%zd given)", nargs);
        return NULL;
    }
    unsigned long value = 0;
    if (nargs == 2) {
        value = PyLong_AsUnsignedLong(args[1]);
        if (PyErr_Occurred()) {
            return NULL;
        }
        if (value > UINT32_MAX) {
            PyErr_SetString(PyExc_OverflowError, "value does not fit into 32 bits");
            return NULL;
        }
    }
    Py_buffer data;
    if (PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0) {
        return NULL;
    }

    const native_state *state = PyModule_GetState(module);
    uint32_t crc = (uint32_t)value;
    if (data.len < GIL_RELEASE_BYTES) {
        crc = update(state, crc, data.buf, (size_t)data.len);
    }
    else {
        Py_BEGIN_ALLOW_THREADS
        crc = update(state, crc, data.buf, (size_t)data.len);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&data);
    return PyLong_FromUnsignedLong(crc);
}

static PyMethodDef native_methods[] = {
    /* The cast through void (*)(void) is the documented one for METH_FASTCALL. */
    {"crc32c", (PyCFunction)(void (*)(void))native_crc32c, METH_FASTCALL, crc32c_doc},
    {NULL, NULL, 0, NULL},
};

static int
native_exec(PyObject *module)
{
    fill_table(PyModule_GetState(module));
    return 0;
}

static PyModuleDef_Slot native_slots[] = {
    {Py_mod_exec, native_exec},
#ifdef Py_MOD_PER_INTERPRETER_GIL_SUPPORTED
    /* True: nothing is shared between interpreters, each has its own table. */
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_MOD_GIL_NOT_USED
    /* True: the table is written once, before anyone can call, and only read then. */
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

/* The state holds no Python objects: nothing to traverse, clear or free. */
static struct PyModuleDef native_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = PyDoc_STR("The compiled part."),
    .m_size = sizeof(native_state),
    .m_methods = native_methods,
    .m_slots = native_slots,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&native_module);
}
