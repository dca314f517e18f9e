/* The floor: what CPython at the least needs for frames over a byte stream.
 *
 * Per incoming frame: one payload (bytes), one small object without a garbage
 * collector header, one append to a list, one XOR pass. Per outgoing frame: one
 * bytes object with header and payload, copied or XORed once. No check of any kind,
 * no state of a connection, every frame of a peer taken as masked. It is driven with
 * the same Python calls as the contenders.
 *
 * A payload that arrives in parts is allocated once, at the length announced: an
 * implementation that must not trust that length has to do more.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <stdint.h>
#include <string.h>
#ifndef FLOOR_WITHOUT_ZLIB
#include <zlib.h>
#endif

/* Up to here an unmasked payload is copied behind its header; above, it is queued. */
#define COPY_LIMIT 4096
#define KEY_POOL 1024

typedef unsigned char byte;

typedef struct {
    PyObject_HEAD
    int opcode;
    char fin;
    char rsv1;
    PyObject *data;
} Frame;

static void frame_dealloc(Frame *self) {
    Py_DECREF(self->data);
    PyObject_Free(self);
}

static PyMemberDef frame_members[] = {
    {"opcode", T_INT, offsetof(Frame, opcode), READONLY, NULL},
    {"fin", T_BOOL, offsetof(Frame, fin), READONLY, NULL},
    {"rsv1", T_BOOL, offsetof(Frame, rsv1), READONLY, NULL},
    {"data", T_OBJECT_EX, offsetof(Frame, data), READONLY, NULL},
    {NULL},
};

static PyTypeObject FrameType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "floor.Frame",
    .tp_basicsize = sizeof(Frame),
    .tp_dealloc = (destructor)frame_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_members = frame_members,
};

typedef struct {
    PyObject_HEAD
    PyObject *events;   /* list, or NULL when empty */
    PyObject *output;   /* list, or NULL when empty */
    PyObject *ping;     /* payload of the latest unanswered ping */
    PyObject *payload;  /* bytes being filled, when a frame is incomplete */
    size_t filled, length;
    byte first, key[4];
    byte head[14];
    unsigned head_size;
    int masking;        /* 1 on the client side: outgoing frames are masked */
    int deflating;
    byte keys[KEY_POOL];
    unsigned keys_used;
    byte *scratch;
    size_t scratch_size;
#ifndef FLOOR_WITHOUT_ZLIB
    z_stream inflater, deflater;
#endif
} Connection;

static PyObject *urandom;

static void mask(byte *restrict target, const byte *restrict source, size_t size,
                 const byte *key, unsigned phase) {
    byte keys[8];
    for (unsigned i = 0; i < 8; i++) keys[i] = key[(phase + i) & 3];
    uint64_t key_word, word;
    memcpy(&key_word, keys, 8);
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, source + i, 8);
        word ^= key_word;
        memcpy(target + i, &word, 8);
    }
    for (; i < size; i++) target[i] = source[i] ^ keys[i & 7];
}

static int append(PyObject **list, PyObject *item) {
    if (item == NULL) return -1;
    if (*list == NULL && (*list = PyList_New(0)) == NULL) return -1;
    int result = PyList_Append(*list, item);
    Py_DECREF(item);
    return result;
}

static PyObject *take_list(PyObject **list) {
    PyObject *result = *list;
    *list = NULL;
    return result ? result : PyList_New(0);
}

/* ---- deflate ------------------------------------------------------------------ */

#ifndef FLOOR_WITHOUT_ZLIB
static int grow(Connection *self, size_t size) {
    if (size <= self->scratch_size) return 0;
    byte *scratch = PyMem_Realloc(self->scratch, size);
    if (scratch == NULL) return PyErr_NoMemory(), -1;
    self->scratch = scratch;
    self->scratch_size = size;
    return 0;
}

/* Runs one stream over input until it wants no more; appends at *used of scratch. */
static int run(Connection *self, z_stream *stream, int deflating, const byte *input,
               size_t size, size_t *used) {
    stream->next_in = (byte *)input;
    stream->avail_in = (uInt)size;
    do {
        if (self->scratch_size - *used < 64 && grow(self, self->scratch_size * 2))
            return -1;
        size_t room = self->scratch_size - *used;
        stream->next_out = self->scratch + *used;
        stream->avail_out = (uInt)room;
        int code = deflating ? deflate(stream, Z_SYNC_FLUSH)
                             : inflate(stream, Z_SYNC_FLUSH);
        if (code != Z_OK && code != Z_BUF_ERROR)
            return PyErr_SetString(PyExc_ValueError, "zlib failed"), -1;
        *used += room - stream->avail_out;
    } while (stream->avail_in || stream->avail_out == 0);
    return 0;
}

static PyObject *inflated(Connection *self, const byte *input, size_t size) {
    static const byte tail[4] = {0, 0, 0xff, 0xff};
    size_t used = 0;
    if (run(self, &self->inflater, 0, input, size, &used)) return NULL;
    if (run(self, &self->inflater, 0, tail, 4, &used)) return NULL;
    return PyBytes_FromStringAndSize((char *)self->scratch, used);
}

static int open_streams(Connection *self, int window_bits, int memory_level) {
    if (grow(self, 65536)) return -1;
    if (inflateInit2(&self->inflater, -window_bits) != Z_OK ||
        deflateInit2(&self->deflater, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -window_bits,
                     memory_level, Z_DEFAULT_STRATEGY) != Z_OK)
        return PyErr_SetString(PyExc_ValueError, "zlib refused"), -1;
    return 0;
}
#endif

/* ---- in ----------------------------------------------------------------------- */

/* Steals payload. */
static int deliver(Connection *self, byte first, PyObject *payload) {
    Frame *frame = PyObject_New(Frame, &FrameType);
    if (frame == NULL) return Py_DECREF(payload), -1;
    frame->opcode = first & 15;
    frame->fin = first >> 7;
    frame->rsv1 = (first >> 6) & 1;
    frame->data = payload;
    if (frame->opcode == 9) {
        Py_INCREF(payload);
        Py_XSETREF(self->ping, payload);
    }
    return append(&self->events, (PyObject *)frame);
}

static PyObject *unmasked(Connection *self, byte first, const byte *source,
                          size_t size, const byte *key) {
#ifndef FLOOR_WITHOUT_ZLIB
    if (self->deflating && first & 0x40) {
        byte small[4096];
        byte *input = size <= sizeof small ? small : PyMem_Malloc(size);
        if (input == NULL) return PyErr_NoMemory();
        mask(input, source, size, key, 0);
        PyObject *result = inflated(self, input, size);
        if (input != small) PyMem_Free(input);
        return result;
    }
#endif
    PyObject *payload = PyBytes_FromStringAndSize(NULL, size);
    if (payload != NULL)
        mask((byte *)PyBytes_AS_STRING(payload), source, size, key, 0);
    return payload;
}

static unsigned header_size(const byte *head) {
    unsigned length = head[1] & 127;
    return length < 126 ? 6 : length == 126 ? 8 : 14;
}

static size_t payload_length(const byte *head) {
    size_t length = head[1] & 127;
    if (length < 126) return length;
    unsigned count = length == 126 ? 2 : 8;
    length = 0;
    for (unsigned i = 0; i < count; i++) length = length << 8 | head[2 + i];
    return length;
}

/* Ends a payload that came in parts. */
static int finish(Connection *self) {
    PyObject *payload = self->payload;
    self->payload = NULL;
#ifndef FLOOR_WITHOUT_ZLIB
    if (self->deflating && self->first & 0x40) {
        PyObject *plain = inflated(self, (byte *)PyBytes_AS_STRING(payload),
                                   PyBytes_GET_SIZE(payload));
        Py_SETREF(payload, plain);
        if (payload == NULL) return -1;
    }
#endif
    return deliver(self, self->first, payload);
}

static const byte *fill(Connection *self, const byte *at, const byte *end) {
    size_t part = self->length - self->filled;
    if (part > (size_t)(end - at)) part = end - at;
    mask((byte *)PyBytes_AS_STRING(self->payload) + self->filled, at, part, self->key,
         self->filled & 3);
    self->filled += part;
    if (self->filled == self->length && finish(self)) return NULL;
    return at + part;
}

static int begin(Connection *self, const byte *head, unsigned head_size, size_t size) {
    self->first = head[0];
    memcpy(self->key, head + head_size - 4, 4);
    self->filled = 0;
    self->length = size;
    self->payload = PyBytes_FromStringAndSize(NULL, size);
    if (self->payload == NULL) return -1;
    return size == 0 ? finish(self) : 0;
}

/* Collects a header that is cut; begins the payload once it is whole. */
static const byte *gather(Connection *self, const byte *at, const byte *end) {
    while (at < end) {
        self->head[self->head_size++] = *at++;
        if (self->head_size < 6 || self->head_size < header_size(self->head)) continue;
        unsigned size = self->head_size;
        self->head_size = 0;
        if (begin(self, self->head, size, payload_length(self->head))) return NULL;
        break;
    }
    return at;
}

static const byte *next_frame(Connection *self, const byte *at, const byte *end) {
    size_t left = end - at;
    unsigned size = left < 2 ? 14 : header_size(at);
    if (left < size) return gather(self, at, end);
    size_t length = payload_length(at);
    if (left - size < length)
        return begin(self, at, size, length) ? NULL : at + size;
    PyObject *payload = unmasked(self, at[0], at + size, length, at + size - 4);
    if (payload == NULL || deliver(self, at[0], payload)) return NULL;
    return at + size + length;
}

static PyObject *framed(Connection *self, byte first, const byte *data, size_t size);

static int parse(Connection *self, const byte *at, const byte *end) {
    while (at < end) {
        if (self->payload) at = fill(self, at, end);
        else if (self->head_size) at = gather(self, at, end);
        else at = next_frame(self, at, end);
        if (at == NULL) return -1;
    }
    if (self->ping) {
        PyObject *pong = framed(self, 0x8a, (byte *)PyBytes_AS_STRING(self->ping),
                                PyBytes_GET_SIZE(self->ping));
        Py_CLEAR(self->ping);
        return append(&self->output, pong);
    }
    return 0;
}

static PyObject *receive_data(Connection *self, PyObject *data) {
    int failed;
    if (PyBytes_CheckExact(data)) {
        const byte *at = (const byte *)PyBytes_AS_STRING(data);
        failed = parse(self, at, at + PyBytes_GET_SIZE(data));
    } else {
        Py_buffer view;
        if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)) return NULL;
        failed = parse(self, view.buf, (const byte *)view.buf + view.len);
        PyBuffer_Release(&view);
    }
    if (failed) return NULL;
    Py_RETURN_NONE;
}

/* ---- out ---------------------------------------------------------------------- */

static unsigned write_head(byte *head, byte first, byte masked, size_t size) {
    unsigned count = size < 126 ? 0 : size < 65536 ? 2 : 8;
    head[0] = first;
    head[1] = masked | (count == 0 ? (byte)size : count == 2 ? 126 : 127);
    for (unsigned i = 0; i < count; i++)
        head[2 + i] = (byte)(size >> 8 * (count - 1 - i));
    return 2 + count;
}

/* Keys must be unpredictable (RFC 6455, 5.3); drawn from the system many at a time. */
static int next_key(Connection *self, byte *key) {
    if (self->keys_used == KEY_POOL) {
        PyObject *random = PyObject_CallFunction(urandom, "i", KEY_POOL);
        if (random == NULL) return -1;
        memcpy(self->keys, PyBytes_AS_STRING(random), KEY_POOL);
        Py_DECREF(random);
        self->keys_used = 0;
    }
    memcpy(key, self->keys + self->keys_used, 4);
    self->keys_used += 4;
    return 0;
}

static PyObject *framed(Connection *self, byte first, const byte *data, size_t size) {
    byte head[14];
    unsigned head_size = write_head(head, first, self->masking ? 0x80 : 0, size);
    if (self->masking) {
        if (next_key(self, head + head_size)) return NULL;
        head_size += 4;
    }
    PyObject *result = PyBytes_FromStringAndSize(NULL, head_size + size);
    if (result == NULL) return NULL;
    byte *target = (byte *)PyBytes_AS_STRING(result);
    memcpy(target, head, head_size);
    if (self->masking) mask(target + head_size, data, size, head + head_size - 4, 0);
    else memcpy(target + head_size, data, size);
    return result;
}

static int queue(Connection *self, byte first, PyObject *data) {
    const byte *bytes = (const byte *)PyBytes_AS_STRING(data);
    size_t size = PyBytes_GET_SIZE(data);
#ifndef FLOOR_WITHOUT_ZLIB
    if (self->deflating) {
        size_t used = 0;
        if (run(self, &self->deflater, 1, bytes, size, &used)) return -1;
        return append(&self->output,
                      framed(self, first | 0x40, self->scratch, used - 4));
    }
#endif
    if (self->masking || size <= COPY_LIMIT)
        return append(&self->output, framed(self, first, bytes, size));
    byte head[14];
    unsigned head_size = write_head(head, first, 0, size);
    if (append(&self->output, PyBytes_FromStringAndSize((char *)head, head_size)))
        return -1;
    Py_INCREF(data);
    return append(&self->output, data);
}

static PyObject *send(Connection *self, byte first, PyObject *data) {
    if (!PyBytes_CheckExact(data)) return PyErr_BadArgument(), NULL;
    if (queue(self, first, data)) return NULL;
    Py_RETURN_NONE;
}

static PyObject *send_text(Connection *self, PyObject *data) {
    return send(self, 0x81, data);
}

static PyObject *send_binary(Connection *self, PyObject *data) {
    return send(self, 0x82, data);
}

static PyObject *events_received(Connection *self, PyObject *unused) {
    return take_list(&self->events);
}

static PyObject *data_to_send(Connection *self, PyObject *unused) {
    return take_list(&self->output);
}

/* ---- the type and the module -------------------------------------------------- */

static PyObject *connection_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    int masking = 0, window_bits = 0, memory_level = 8;
    if (!PyArg_ParseTuple(args, "|pii", &masking, &window_bits, &memory_level))
        return NULL;
    Connection *self = (Connection *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->masking = masking;
    self->keys_used = KEY_POOL;
    if (window_bits) {
#ifdef FLOOR_WITHOUT_ZLIB
        PyErr_SetString(PyExc_NotImplementedError, "built without zlib");
        return Py_DECREF(self), NULL;
#else
        if (open_streams(self, window_bits, memory_level))
            return Py_DECREF(self), NULL;
        self->deflating = 1;
#endif
    }
    return (PyObject *)self;
}

static void connection_dealloc(Connection *self) {
    Py_XDECREF(self->events);
    Py_XDECREF(self->output);
    Py_XDECREF(self->ping);
    Py_XDECREF(self->payload);
#ifndef FLOOR_WITHOUT_ZLIB
    if (self->deflating) {
        inflateEnd(&self->inflater);
        deflateEnd(&self->deflater);
    }
    PyMem_Free(self->scratch);
#endif
    Py_TYPE(self)->tp_free(self);
}

static PyMethodDef connection_methods[] = {
    {"receive_data", (PyCFunction)receive_data, METH_O, NULL},
    {"events_received", (PyCFunction)events_received, METH_NOARGS, NULL},
    {"data_to_send", (PyCFunction)data_to_send, METH_NOARGS, NULL},
    {"send_text", (PyCFunction)send_text, METH_O, NULL},
    {"send_binary", (PyCFunction)send_binary, METH_O, NULL},
    {NULL},
};

static PyTypeObject ConnectionType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "floor.Connection",
    .tp_doc = "Connection(masking=False, window_bits=0, memory_level=8)",
    .tp_basicsize = sizeof(Connection),
    .tp_new = connection_new,
    .tp_dealloc = (destructor)connection_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = connection_methods,
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "floor",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit_floor(void) {
    PyObject *result = PyModule_Create(&module);
    PyObject *os = PyImport_ImportModule("os");
    if (result == NULL || os == NULL) return NULL;
    urandom = PyObject_GetAttrString(os, "urandom");
    Py_DECREF(os);
    if (urandom == NULL || PyType_Ready(&FrameType) || PyType_Ready(&ConnectionType))
        return NULL;
    Py_INCREF(&ConnectionType);
    if (PyModule_AddObject(result, "Connection", (PyObject *)&ConnectionType))
        return NULL;
    return result;
}
