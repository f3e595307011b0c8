/* What the processor can do at most: read codes once, and compare codes that stand in the first-level cache.
 *
 *     gcc -O3 -march=native -shared -fPIC limit.c
 *
 * Built and called by search.py where there is a compiler; nothing of crossbit needs it.
 */
#include <stdint.h>
#include <stddef.h>

uint64_t stream(const uint64_t *words, size_t n) { /* the XOR of all words: bound by reading them */
    uint64_t total[32] = {0};
    for (size_t i = 0; i + 32 <= n; i += 32)
        for (int lane = 0; lane < 32; lane++) total[lane] ^= words[i + lane];
    for (int lane = 1; lane < 32; lane++) total[0] ^= total[lane];
    return total[0];
}

#if defined(__AVX512BITALG__)
#include <immintrin.h>

/* Distances of 64 codes of n_bytes bytes to 8 queries, again and again: XOR, count, add, compare and nothing else. */
uint64_t compare(const uint8_t *planes, const uint8_t *queries, size_t n_bytes, size_t times) {
    uint64_t found = 0;
    const __m512i limit = _mm512_set1_epi8(1);
    for (size_t turn = 0; turn < times; turn++) {
        __m512i sum[8];
        for (int q = 0; q < 8; q++) sum[q] = _mm512_setzero_si512();
        for (size_t j = 0; j < n_bytes; j++) {
            __m512i plane = _mm512_loadu_si512(planes + 64 * (j + n_bytes * (turn % 16)));
            for (int q = 0; q < 8; q++) {
                __m512i differ = _mm512_xor_si512(plane, _mm512_loadu_si512(queries + 64 * (8 * j + q)));
                sum[q] = _mm512_add_epi8(sum[q], _mm512_popcnt_epi8(differ));
            }
        }
        for (int q = 0; q < 8; q++) found |= _mm512_cmple_epu8_mask(sum[q], limit);
    }
    return found;
}
int can_compare(void) { return 1; }
#else
uint64_t compare(const uint8_t *planes, const uint8_t *queries, size_t n_bytes, size_t times) { return 0; }
int can_compare(void) { return 0; }
#endif
