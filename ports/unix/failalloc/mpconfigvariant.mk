# The unix variant with a test-only module `failalloc`, through which every heap allocation goes.
include $(VARIANT_DIR)/../mpconfigvariant.mk
CFLAGS += -I$(VARIANT_DIR)/..
LDFLAGS += -Wl,--wrap=gc_alloc -Wl,--wrap=gc_realloc -Wl,--wrap=calloc
