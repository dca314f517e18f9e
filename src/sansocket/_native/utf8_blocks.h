/* UTF-8 checked 16 bytes at a time, where the processor can look up 16 bytes at once.

   After J. Keiser and D. Lemire, "Validating UTF-8 in less than one instruction per
   byte" (2021). Each pair of neighbouring bytes is looked up in three tables: by both
   halves of the first byte and by the high half of the second. A table has one bit for
   each kind of error that its half-byte allows; a pair with a bit that is set in all
   three is wrong. The third and fourth byte of a sequence have a rule of their own. */

#ifndef SANSOCKET_UTF8_BLOCKS_H
#define SANSOCKET_UTF8_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) && defined(__x86_64__)
#include <tmmintrin.h>
#define SANSOCKET_BLOCKS __attribute__((target("ssse3")))
#define SANSOCKET_HAS_BLOCKS (__builtin_cpu_supports("ssse3"))
typedef __m128i sansocket_block;
#define block_load(p) _mm_loadu_si128((const __m128i *)(p))
#define block_zero() _mm_setzero_si128()
#define block_fill(byte) _mm_set1_epi8((char)(byte))
#define block_and(a, b) _mm_and_si128(a, b)
#define block_or(a, b) _mm_or_si128(a, b)
#define block_xor(a, b) _mm_xor_si128(a, b)
#define block_excess(a, b) _mm_subs_epu8(a, b) /* a - b, or 0 */
#define block_high(a) _mm_and_si128(_mm_srli_epi16(a, 4), block_fill(0x0F))
#define block_look_up(table, index) _mm_shuffle_epi8(table, index)
#define block_shifted(before, a, n) _mm_alignr_epi8(a, before, 16 - (n))
#define block_is_zero(a) \
    (_mm_movemask_epi8(_mm_cmpeq_epi8(a, _mm_setzero_si128())) == 0xFFFF)
#elif defined(__GNUC__) && defined(__aarch64__)
#include <arm_neon.h>
#define SANSOCKET_BLOCKS
#define SANSOCKET_HAS_BLOCKS 1
typedef uint8x16_t sansocket_block;
#define block_load(p) vld1q_u8(p)
#define block_zero() vdupq_n_u8(0)
#define block_fill(byte) vdupq_n_u8((uint8_t)(byte))
#define block_and(a, b) vandq_u8(a, b)
#define block_or(a, b) vorrq_u8(a, b)
#define block_xor(a, b) veorq_u8(a, b)
#define block_excess(a, b) vqsubq_u8(a, b)
#define block_high(a) vshrq_n_u8(a, 4)
#define block_look_up(table, index) vqtbl1q_u8(table, index)
#define block_shifted(before, a, n) vextq_u8(before, a, 16 - (n))
#define block_is_zero(a) (vmaxvq_u8(a) == 0)
#endif /* elsewhere byte by byte */

#ifdef SANSOCKET_BLOCKS

enum {
    UTF8_NO_CONTINUATION = 1 << 0, /* a lead byte, then no continuation byte */
    UTF8_STRAY = 1 << 1,           /* ASCII, then a continuation byte */
    UTF8_LONG_3 = 1 << 2,          /* E0, then 80 to 9F: overlong */
    UTF8_LARGE = 1 << 3,           /* F4, then 90 and more; F5 and more: over U+10FFFF */
    UTF8_SURROGATE = 1 << 4,       /* ED, then A0 to BF */
    UTF8_LONG_2 = 1 << 5,          /* C0 or C1: overlong */
    UTF8_LONG_4 = 1 << 6,          /* F0, then 80 to 8F: overlong; F5 and more, then these */
    UTF8_IN_ROW = 1 << 7,          /* two continuation bytes, right in some places only */
    UTF8_ANY_LOW = UTF8_NO_CONTINUATION | UTF8_STRAY | UTF8_IN_ROW,
};

static const unsigned char sansocket_first_high[16] = {
    UTF8_STRAY, UTF8_STRAY, UTF8_STRAY, UTF8_STRAY, UTF8_STRAY, UTF8_STRAY, UTF8_STRAY, UTF8_STRAY,
    UTF8_IN_ROW, UTF8_IN_ROW, UTF8_IN_ROW, UTF8_IN_ROW,
    UTF8_NO_CONTINUATION | UTF8_LONG_2,
    UTF8_NO_CONTINUATION,
    UTF8_NO_CONTINUATION | UTF8_LONG_3 | UTF8_SURROGATE,
    UTF8_NO_CONTINUATION | UTF8_LARGE | UTF8_LONG_4,
};
static const unsigned char sansocket_first_low[16] = {
    UTF8_ANY_LOW | UTF8_LONG_2 | UTF8_LONG_3 | UTF8_LONG_4,
    UTF8_ANY_LOW | UTF8_LONG_2,
    UTF8_ANY_LOW,
    UTF8_ANY_LOW,
    UTF8_ANY_LOW | UTF8_LARGE,
    UTF8_ANY_LOW | UTF8_LARGE | UTF8_LONG_4, UTF8_ANY_LOW | UTF8_LARGE | UTF8_LONG_4, UTF8_ANY_LOW | UTF8_LARGE | UTF8_LONG_4,
    UTF8_ANY_LOW | UTF8_LARGE | UTF8_LONG_4, UTF8_ANY_LOW | UTF8_LARGE | UTF8_LONG_4, UTF8_ANY_LOW | UTF8_LARGE | UTF8_LONG_4,
    UTF8_ANY_LOW | UTF8_LARGE | UTF8_LONG_4, UTF8_ANY_LOW | UTF8_LARGE | UTF8_LONG_4,
    UTF8_ANY_LOW | UTF8_LARGE | UTF8_LONG_4 | UTF8_SURROGATE,
    UTF8_ANY_LOW | UTF8_LARGE | UTF8_LONG_4, UTF8_ANY_LOW | UTF8_LARGE | UTF8_LONG_4,
};
static const unsigned char sansocket_second_high[16] = {
    UTF8_NO_CONTINUATION, UTF8_NO_CONTINUATION, UTF8_NO_CONTINUATION, UTF8_NO_CONTINUATION,
    UTF8_NO_CONTINUATION, UTF8_NO_CONTINUATION, UTF8_NO_CONTINUATION, UTF8_NO_CONTINUATION,
    UTF8_STRAY | UTF8_IN_ROW | UTF8_LONG_2 | UTF8_LONG_3 | UTF8_LONG_4,
    UTF8_STRAY | UTF8_IN_ROW | UTF8_LONG_2 | UTF8_LONG_3 | UTF8_LARGE,
    UTF8_STRAY | UTF8_IN_ROW | UTF8_LONG_2 | UTF8_SURROGATE | UTF8_LARGE,
    UTF8_STRAY | UTF8_IN_ROW | UTF8_LONG_2 | UTF8_SURROGATE | UTF8_LARGE,
    UTF8_NO_CONTINUATION, UTF8_NO_CONTINUATION, UTF8_NO_CONTINUATION, UTF8_NO_CONTINUATION,
};

/* Check a text from the border of a character on, in whole blocks. Returns how many
   bytes are right and need no second look, or -1 if any is wrong; a sequence that
   the last block does not end is left over. */
SANSOCKET_BLOCKS static ptrdiff_t
sansocket_utf8_blocks(const unsigned char *data, size_t size)
{
    const sansocket_block first_high = block_load(sansocket_first_high);
    const sansocket_block first_low = block_load(sansocket_first_low);
    const sansocket_block second_high = block_load(sansocket_second_high);
    sansocket_block before = block_zero(), wrong = block_zero();
    size_t at = 0;
    for (; size - at >= 16; at += 16) {
        sansocket_block here = block_load(data + at), pair, later;
        sansocket_block back = block_shifted(before, here, 1);
        pair = block_and(block_look_up(first_high, block_high(back)),
                         block_look_up(first_low, block_and(back, block_fill(0x0F))));
        pair = block_and(pair, block_look_up(second_high, block_high(here)));
        /* The high bit: two bytes behind E0 and more, or three behind F0 and more,
           must be where two continuation bytes stand in a row, and nowhere else. */
        later = block_or(
            block_excess(block_shifted(before, here, 2), block_fill(0xE0 - 0x80)),
            block_excess(block_shifted(before, here, 3), block_fill(0xF0 - 0x80)));
        later = block_and(later, block_fill(0x80));
        wrong = block_or(wrong, block_xor(later, pair));
        before = here;
    }
    if (!block_is_zero(wrong))
        return -1;
    if (at >= 1 && data[at - 1] >= 0xC0)
        return (ptrdiff_t)(at - 1);
    if (at >= 2 && data[at - 2] >= 0xE0)
        return (ptrdiff_t)(at - 2);
    if (at >= 3 && data[at - 3] >= 0xF0)
        return (ptrdiff_t)(at - 3);
    return (ptrdiff_t)at;
}

#endif
#endif
