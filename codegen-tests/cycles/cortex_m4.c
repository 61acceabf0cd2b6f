/* Estimates the cycles of a Cortex-M4, as a plugin of QEMU's TCG.
 *
 * Costs are those of the Technical Reference Manual: a single load or store 2, 1 right behind another one; LDM, STM, LDRD,
 * STRD, PUSH, POP 1 and one a register; a taken branch 2 more; a word at an odd address 2 more, at another that is no
 * multiple of four 1 more; a division 7; VMLA 3; VDIV and VSQRT 14; everything else 1. Flash without wait states.
 *
 * It counts from `mov r10, r10` to `mov r11, r11`, and appends a line of instructions, cycles and unaligned accesses to the
 * file that `out=` names at each of the latter. QEMU's header is not needed: what is used of it is declared here.
 *
 *     cc -shared -fPIC -O2 -o cortex_m4.so cortex_m4.c
 *     qemu-system-arm ... -plugin cortex_m4.so,out=cycles.txt
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct qemu_info qemu_info_t;
enum { NO_REGISTERS = 0, READ_AND_WRITE = 3 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *,
                                      void (*)(unsigned, qemu_plugin_meminfo_t, uint64_t, void *), int, int, void *);
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t);

EXPORT int qemu_plugin_version = 1;

/* SINGLE pipelines behind another access; STORE is one whose address is ready at once, and waits for nothing. */
enum kind { OTHER, SINGLE, STORE };
enum mark { NONE, BEGIN, END };

struct instruction {
    uint32_t address;
    uint8_t size, cost;
    enum kind kind;
    enum mark mark;
};

static uint64_t instructions, cycles, unaligned;
static bool behind_access;
static uint32_t next;
static FILE *out;

static void executed(unsigned cpu, void *data)
{
    const struct instruction *i = data;
    (void)cpu;
    if (i->mark == BEGIN) {
        instructions = cycles = unaligned = 0;
        behind_access = false;
        next = i->address + i->size;
        return;
    }
    if (i->mark == END) {
        fprintf(out, "%llu %llu %llu\n", (unsigned long long)instructions, (unsigned long long)cycles,
                (unsigned long long)unaligned);
        fflush(out);
        return;
    }
    instructions++;
    if (i->address != next)
        cycles += 2;
    next = i->address + i->size;
    if (i->kind == SINGLE)
        cycles += behind_access ? 1 : 2;
    else if (i->kind == STORE)
        cycles += 1;
    else
        cycles += i->cost;
    behind_access = i->kind != OTHER;
}

static void accessed(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
    unsigned shift = qemu_plugin_mem_size_shift(info);
    unsigned more = shift == 2 ? (address & 1 ? 2 : address & 3 ? 1 : 0) : shift == 1 ? address & 1 : 0;
    (void)cpu, (void)data;
    cycles += more;
    unaligned += more != 0;
}

static int registers(unsigned list)
{
    return __builtin_popcount(list);
}

static void narrow(struct instruction *i, unsigned h)
{
    unsigned op = h >> 12;
    if (h == 0x46d2)
        i->mark = BEGIN;
    else if (h == 0x46db)
        i->mark = END;
    else if (h >> 11 == 9 || op == 5) /* LDR from a literal; register offsets */
        i->kind = SINGLE;
    else if (op >= 6 && op <= 9) /* immediate offsets, and those to SP */
        i->kind = h & 0x800 ? SINGLE : STORE;
    else if (op == 12)
        i->cost = 1 + registers(h & 0xff);
    else if ((h & 0xf600) == 0xb400) /* PUSH, POP */
        i->cost = 1 + registers(h & 0x1ff);
}

static void wide(struct instruction *i, unsigned h, unsigned h2)
{
    if ((h & 0xfe40) == 0xe800) /* LDM, STM */
        i->cost = 1 + registers(h2);
    else if ((h & 0xfe40) == 0xe840) /* LDRD, STRD; TBB and TBH */
        i->cost = (h & 0xfff0) == 0xe8d0 && (h2 & 0xe0) == 0 ? 2 : 3;
    else if ((h & 0xfe00) == 0xf800)
        i->kind = h & 0x10 || !(h & 0x80 || h2 & 0x800) ? SINGLE : STORE;
    else if ((h & 0xffd0) == 0xfb90) /* SDIV, UDIV */
        i->cost = 7;
    else if ((h & 0xffe0) == 0xec40) /* VMOV of two registers */
        i->cost = 2;
    else if ((h & 0xff20) == 0xed00) /* VLDR, VSTR */
        i->cost = 2;
    else if ((h & 0xfe00) == 0xec00) /* VLDM, VSTM, VPUSH, VPOP */
        i->cost = 1 + (h2 & 0xff);
    else if ((h & 0xff00) == 0xee00 && (h2 & 0x0e10) == 0x0a00) {
        if ((h & 0xb0) == 0x00 || (h & 0xb0) == 0x10 || (h & 0xb0) == 0xa0 || (h & 0xb0) == 0x90) /* VMLA, VNMLA, VFMA.. */
            i->cost = 3;
        else if ((h & 0xb0) == 0x80 || ((h & 0xbf) == 0xb1 && (h2 & 0xc0) == 0xc0)) /* VDIV, VSQRT */
            i->cost = 14;
    }
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    size_t n = qemu_plugin_tb_n_insns(block);
    (void)id;
    for (size_t k = 0; k < n; k++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, k);
        const uint8_t *bytes = qemu_plugin_insn_data(insn);
        struct instruction *i = calloc(1, sizeof *i);
        if (!i)
            abort();
        i->address = qemu_plugin_insn_vaddr(insn);
        i->size = qemu_plugin_insn_size(insn);
        i->cost = 1;
        if (i->size == 2)
            narrow(i, bytes[0] | bytes[1] << 8);
        else
            wide(i, bytes[0] | bytes[1] << 8, bytes[2] | bytes[3] << 8);
        qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, NO_REGISTERS, i);
        qemu_plugin_register_vcpu_mem_cb(insn, accessed, NO_REGISTERS, READ_AND_WRITE, NULL);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int k = 0; k < argc; k++)
        if (!strncmp(argv[k], "out=", 4))
            out = fopen(argv[k] + 4, "w");
    if (!out) {
        fprintf(stderr, "the plugin wants `out=FILE`\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
