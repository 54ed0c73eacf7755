/* A C extension with one function. Because of it, building the image requires a compiler. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *
greeting(PyObject *module, PyObject *name)
{
    (void)module;
    return PyUnicode_FromFormat("Hello from C, %S", name);
}

static PyMethodDef methods[] = {
    {"greeting", greeting, METH_O, "Return a greeting for a name."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_hello",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__hello(void)
{
    return PyModuleDef_Init(&definition);
}
