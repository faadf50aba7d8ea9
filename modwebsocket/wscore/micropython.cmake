# `_wscore` as a user C module of the ports that build with CMake:
#   make -C ports/PORT USER_C_MODULES=.../modwebsocket/wscore/micropython.cmake
add_library(usermod_wscore INTERFACE)

target_sources(usermod_wscore INTERFACE
    ${CMAKE_CURRENT_LIST_DIR}/modwscore.c
    ${CMAKE_CURRENT_LIST_DIR}/wscore.c
)
target_include_directories(usermod_wscore INTERFACE ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(usermod INTERFACE usermod_wscore)
