# Stands for ESP-IDF's, which MicroPython's CMake files include: as much of it as they need to be
# read to their end. It shows which files, flags and definitions they hand to ESP-IDF; nothing of
# ESP-IDF's own is compiled or linked.
if(IDF_TARGET MATCHES "^esp32(s[23])?$")
    set(CONFIG_IDF_TARGET_ARCH_XTENSA 1)
else()
    set(CONFIG_IDF_TARGET_ARCH_RISCV 1)
endif()

macro(idf_component_register)
    cmake_parse_arguments(component "" "" "SRCS;INCLUDE_DIRS;LDFRAGMENTS;REQUIRES" ${ARGN})
    add_library(component STATIC ${component_SRCS})
    target_include_directories(component PUBLIC ${component_INCLUDE_DIRS})
    set(COMPONENT_TARGET component)
endmacro()

function(idf_build_set_property)
endfunction()

macro(project name)
    _project(${name} C ASM)
    add_subdirectory(${CMAKE_SOURCE_DIR}/main)
endmacro()
