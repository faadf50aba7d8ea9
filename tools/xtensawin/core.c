// The processor for which the ESP32's native module is compiled: what ESP32, S2 and S3 and QEMU's
// dc233c have in common.  The compiler and the assembler read it from a shared library, of this and
// of dc233c's instructions as QEMU's sources give them.
#include "core-isa.h"

// The S2 has none of these.
#undef XCHAL_HAVE_LOOPS
#undef XCHAL_HAVE_MAC16
#undef XCHAL_HAVE_S32C1I
#undef XCHAL_HAVE_RELEASE_SYNC
#undef XCHAL_HAVE_THREADPTR
#define XCHAL_HAVE_LOOPS (0)
#define XCHAL_HAVE_MAC16 (0)

#define XCHAL_HAVE_MMU (0)
#define XCHAL_HAVE_FP_DIV (0)
#define XCHAL_HAVE_FP_RECIP (0)
#define XCHAL_HAVE_FP_SQRT (0)
#define XCHAL_HAVE_FP_RSQRT (0)
#define XCHAL_M_STAGE (3)
#define XSHAL_USE_ABSOLUTE_LITERALS (0)
#define XSHAL_HAVE_TEXT_SECTION_LITERALS (1)
#define XSHAL_ABI XTHAL_ABI_WINDOWED

#define XTENSA_CONFIG_DEFINITION
#include "xtensa-dynconfig.h"

XTENSA_CONFIG_INSTANCE_LIST;

// The same as macros of the preprocessor.
#define TEXT_OF(value) #value
#undef XTENSA_CONFIG_ENTRY
#define XTENSA_CONFIG_ENTRY(name) "__" #name "=" TEXT_OF(name)
const char *const xtensa_config_strings[] = { XTENSA_CONFIG_ENTRY_LIST, 0 };

int plugin_is_GPL_compatible;
