/* The two loops over payload bytes, in portable C that compilers vectorise.

   Neither reads nor writes outside the lengths given; no alignment is assumed. */

#ifndef SANSOCKET_KERNELS_H
#define SANSOCKET_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "utf8_blocks.h"

#define SANSOCKET_HIGH_BITS 0x8080808080808080u

/* XOR `size` bytes with the masking key (RFC 6455, section 5.3), and tell whether
   the result is all ASCII. `key` holds the four key bytes in the order of memory.
   `target` may equal `source`. */
static inline int
sansocket_mask(unsigned char *target, const unsigned char *source, size_t size,
               uint32_t key)
{
    uint64_t wide = ((uint64_t)key << 32) | key, word, any = 0;
    size_t i = 0;
    for (; size - i >= 8; i += 8) {
        memcpy(&word, source + i, 8);
        word ^= wide;
        any |= word;
        memcpy(target + i, &word, 8);
    }
    if (size - i >= 4) {
        uint32_t half;
        memcpy(&half, source + i, 4);
        half ^= key;
        any |= half;
        memcpy(target + i, &half, 4);
        i += 4;
    }
    if (i < size) { /* at most 3 bytes */
        unsigned char bytes[4];
        memcpy(bytes, &key, 4);
        any |= target[i] = source[i] ^ bytes[0];
        if (i + 1 < size)
            any |= target[i + 1] = source[i + 1] ^ bytes[1];
        if (i + 2 < size)
            any |= target[i + 2] = source[i + 2] ^ bytes[2];
    }
    return (any & SANSOCKET_HIGH_BITS) == 0;
}

/* Whether the first `have` bytes can begin a UTF-8 sequence (RFC 3629, section 4). */
static inline int
sansocket_utf8_prefix(const unsigned char *sequence, int have)
{
    unsigned char lead = sequence[0], low = 0x80, high = 0xBF;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    if (lead == 0xE0)
        low = 0xA0; /* overlong */
    else if (lead == 0xED)
        high = 0x9F; /* surrogates */
    else if (lead == 0xF0)
        low = 0x90; /* overlong */
    else if (lead == 0xF4)
        high = 0x8F; /* over U+10FFFF */
    if (have > 1 && (sequence[1] < low || sequence[1] > high))
        return 0;
    for (int i = 2; i < have; i++)
        if ((sequence[i] & 0xC0) != 0x80)
            return 0;
    return 1;
}

/* Check the next `size` bytes of a text. The state between two calls is 0 at the
   border of a character, else the bytes of the unfinished sequence, packed in
   network order. Returns the next state, or -1 at the first impossible byte. */
static inline int32_t
sansocket_utf8(int32_t state, const unsigned char *data, size_t size)
{
    const unsigned char *end = data + size;
    unsigned char sequence[4];
    if (state && data < end) {
        int have = state > 0xFFFF ? 3 : state > 0xFF ? 2 : 1, need;
        for (int i = 0; i < have; i++)
            sequence[i] = (unsigned char)(state >> (8 * (have - 1 - i)));
        need = sequence[0] < 0xE0 ? 2 : sequence[0] < 0xF0 ? 3 : 4;
        while (have < need && data < end) {
            sequence[have++] = *data;
            state = (int32_t)((uint32_t)state << 8 | *data++); /* may be of 4 bytes */
            if (!sansocket_utf8_prefix(sequence, have))
                return -1;
        }
        if (have < need)
            return state;
        state = 0;
    }
#ifdef SANSOCKET_BLOCKS
    if (end - data >= 64 && SANSOCKET_HAS_BLOCKS) {
        ptrdiff_t done = sansocket_utf8_blocks(data, (size_t)(end - data));
        if (done < 0)
            return -1;
        data += done;
    }
#endif
    while (data < end) {
        int need, have;
        while (end - data >= 64) { /* ASCII, the common case, in wide steps */
            uint64_t word[8], any = 0;
            memcpy(word, data, 64);
            for (int i = 0; i < 8; i++)
                any |= word[i];
            if (any & SANSOCKET_HIGH_BITS)
                break;
            data += 64;
        }
        while (end - data >= 8) {
            uint64_t word;
            memcpy(&word, data, 8);
            if (word & SANSOCKET_HIGH_BITS)
                break;
            data += 8;
        }
        while (data < end && *data < 0x80)
            data++;
        while (data < end && *data >= 0x80) {
            need = *data < 0xE0 ? 2 : *data < 0xF0 ? 3 : 4;
            have = end - data < need ? (int)(end - data) : need;
            if (!sansocket_utf8_prefix(data, have))
                return -1;
            if (have < need) {
                for (state = 0; data < end; data++)
                    state = (state << 8) | *data;
                return state;
            }
            data += need;
        }
    }
    return state;
}

#endif
