#include "../mpconfigvariant.h"
