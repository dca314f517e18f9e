/* Included before everything else in each module: tracebacks name the source that lies
   beside the extension, not the path that it had where the extension was built. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

#define BUILT_FROM "src/sansocket/"

/* PyCode_NewEmpty(), which Cython calls for a line that it adds to a traceback; it then
   keeps the code object. */
static inline PyCodeObject *located_code(const char *file, const char *name, int line)
{
    const size_t built_from = strlen(BUILT_FROM);
    PyObject *type, *value, *traceback;
    PyObject *package, *root = NULL, *found = NULL, *path = NULL;
    PyCodeObject *code;

    if (strncmp(file, BUILT_FROM, built_from) != 0)
        return PyCode_NewEmpty(file, name, line);
    PyErr_Fetch(&type, &value, &traceback);
    package = PyImport_AddModule("sansocket"); /* borrowed; it is loaded */
    if (package != NULL)
        root = PyModule_GetFilenameObject(package);
    if (root != NULL) {
        const Py_ssize_t length = PyUnicode_GET_LENGTH(root);
        const Py_ssize_t name_length = (Py_ssize_t)strlen("__init__.py");
        if (length > name_length)
            found = PyUnicode_Substring(root, 0, length - name_length);
    }
    if (found != NULL)
        path = PyUnicode_FromFormat("%U%s", found, file + built_from);
    if (path != NULL)
        Py_SETREF(path, PyUnicode_EncodeFSDefault(path));
    PyErr_Clear(); /* without memory the name stays as it is */
    code = PyCode_NewEmpty(path ? PyBytes_AS_STRING(path) : file, name, line);
    Py_XDECREF(path);
    Py_XDECREF(found);
    Py_XDECREF(root);
    if (code != NULL)
        PyErr_Restore(type, value, traceback);
    else {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
    }
    return code;
}

#define PyCode_NewEmpty located_code
