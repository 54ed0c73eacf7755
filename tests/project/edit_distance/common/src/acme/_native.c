/* The edit distance of two texts. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "distance.h"

/* Releasing the GIL is worth it from about this many comparisons. */
#define GIL_RELEASE_COMPARISONS 100000

PyDoc_STRVAR(distance_doc,
"distance($module, a, b, /)\n"
"--\n"
"\n"
"Return the Levenshtein distance of two texts, in code points.");

static PyObject *
native_distance(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    (void)module;
    if (nargs != 2) {
        PyErr_Format(PyExc_TypeError, "distance() takes 2 arguments (%zd given)", nargs);
        return NULL;
    }
    if (!PyUnicode_Check(args[0]) || !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "distance() arguments must be str");
        return NULL;
    }
    size_t a_size = (size_t)PyUnicode_GET_LENGTH(args[0]);
    size_t b_size = (size_t)PyUnicode_GET_LENGTH(args[1]);
    Py_UCS4 *a = PyUnicode_AsUCS4Copy(args[0]);
    Py_UCS4 *b = a == NULL ? NULL : PyUnicode_AsUCS4Copy(args[1]);
    size_t *row = b == NULL ? NULL : PyMem_New(size_t, b_size + 1);
    PyObject *result = NULL;
    if (row != NULL) {
        size_t distance;
        if (a_size * b_size < GIL_RELEASE_COMPARISONS) {
            distance = edit_distance(a, a_size, b, b_size, row);
        }
        else {
            Py_BEGIN_ALLOW_THREADS
            distance = edit_distance(a, a_size, b, b_size, row);
            Py_END_ALLOW_THREADS
        }
        result = PyLong_FromSize_t(distance);
    }
    else if (!PyErr_Occurred()) {
        PyErr_NoMemory();
    }
    PyMem_Free(row);
    PyMem_Free(b);
    PyMem_Free(a);
    return result;
}

static PyMethodDef native_methods[] = {
    /* The cast avoids a compiler warning: METH_FASTCALL functions have a different signature. */
    {"distance", (PyCFunction)(void (*)(void))native_distance, METH_FASTCALL, distance_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot native_slots[] = {
#ifdef Py_MOD_PER_INTERPRETER_GIL_SUPPORTED
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_MOD_GIL_NOT_USED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef native_module = {
    PyModuleDef_HEAD_INIT,       .m_name = "_native",     .m_doc = PyDoc_STR("The C extension."),
    .m_methods = native_methods, .m_slots = native_slots,
};

PyMODINIT_FUNC
PyInit__native(void)
{
    return PyModuleDef_Init(&native_module);
}
