// One kernel source with one set of options, as a library: SOURCE names the file, KERNELS lists what it defines.
#include "emulated.h"
namespace {
#include SOURCE
}
struct Named { const char *name; void (*kernel)(ARGUMENT); };
#define KERNEL(name) {#name, name},
static const Named kernels[] = {KERNELS};

extern "C" int launch(const char *name, const void *argument, const int *grid, int threads, int order) {
  for (const Named &one : kernels)
    if (!strcmp(one.name, name)) return run_grid<ARGUMENT>(one.kernel, argument, grid, threads, order);
  return 1;
}
extern "C" int size_of_argument() { return sizeof(ARGUMENT); }
