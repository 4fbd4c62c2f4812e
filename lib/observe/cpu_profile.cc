#include "lib/observe/cpu_profile.h"

#include <execinfo.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "lib/observe/pprof.h"

namespace ambit::observe {
namespace {

constexpr int kMaxDepth = 48;

struct Sample {
  int depth;
  void* interrupted;
  void* frames[kMaxDepth];  // the handler's own first
};

// Where the thread was when the signal came.
void* InterruptedAt(const void* context) {
  const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return reinterpret_cast<void*>(machine.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return reinterpret_cast<void*>(machine.pc);
#endif
}

// Without what the signal itself put on top.
std::vector<uintptr_t> StackOf(const Sample& sample) {
  std::span frames(sample.frames, static_cast<size_t>(sample.depth));
  auto first = std::ranges::find(frames, sample.interrupted);
  std::vector<uintptr_t> stack;
  for (; first != frames.end(); ++first) stack.push_back(reinterpret_cast<uintptr_t>(*first));
  if (stack.empty()) stack.push_back(reinterpret_cast<uintptr_t>(sample.interrupted));
  return stack;
}

// What a signal handler may touch; there is one SIGPROF in a process, so there is one of these.
struct Sampling {
  std::atomic<bool> taken{false};
  std::atomic<Sample*> samples{nullptr};
  std::atomic<size_t> used{0};
  std::atomic<int> inside{0};
};
constinit Sampling g_sampling;

// glibc and libgcc of Debian 12 unwind without a lock once they are loaded.
void TakeSample(int, siginfo_t*, void* context) {
  const int saved_errno = errno;
  g_sampling.inside.fetch_add(1);
  if (Sample* samples = g_sampling.samples.load()) {
    const size_t index = g_sampling.used.fetch_add(1);
    if (index < CpuProfile::kMaxSamples) {
      samples[index].interrupted = InterruptedAt(context);
      samples[index].depth = backtrace(samples[index].frames, kMaxDepth);
    }
  }
  g_sampling.inside.fetch_sub(1);
  errno = saved_errno;
}

void SetTimer(std::chrono::microseconds period) {
  const timeval interval{period.count() / 1'000'000, period.count() % 1'000'000};
  const itimerval timer{interval, interval};
  setitimer(ITIMER_PROF, &timer, nullptr);
}

void HandleSignal() {
  struct sigaction action{};
  action.sa_sigaction = TakeSample;
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  sigaction(SIGPROF, &action, nullptr);
}

// Only the pages that samples come to lie on are ever there.
constexpr size_t kBytes = CpuProfile::kMaxSamples * sizeof(Sample);

}  // namespace

CpuProfile::CpuProfile(int frequency_hz)
    : frequency_hz_(frequency_hz), start_(std::chrono::system_clock::now()) {}

Result<std::unique_ptr<CpuProfile>> CpuProfile::Start(int frequency_hz) {
  if (g_sampling.taken.exchange(true)) {
    return Fail(ErrorCode::kAlreadyExists, "another CPU profile is being taken");
  }
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    g_sampling.taken = false;
    return FailErrno(errno, "memory for a CPU profile");
  }
  // The first call loads the unwinder, which must not happen inside a signal.
  void* ignored[1];
  backtrace(ignored, 1);
  std::unique_ptr<CpuProfile> profile(new CpuProfile(frequency_hz));
  g_sampling.used = 0;
  g_sampling.samples = static_cast<Sample*>(memory);
  HandleSignal();
  SetTimer(std::chrono::microseconds(1'000'000 / frequency_hz));
  return profile;
}

void CpuProfile::Stop() {
  if (std::exchange(stopped_, true)) return;
  SetTimer(std::chrono::microseconds(0));
  // One that is still pending must not end the process.
  signal(SIGPROF, SIG_IGN);
  Sample* samples = g_sampling.samples.load();
  duration_ = std::chrono::system_clock::now() - start_;
  while (g_sampling.inside.load() != 0) sched_yield();
  g_sampling.samples = nullptr;
  while (g_sampling.inside.load() != 0) sched_yield();
  munmap(samples, kBytes);
  g_sampling.taken = false;
}

CpuProfile::~CpuProfile() { Stop(); }

std::string CpuProfile::Finish() {
  const std::chrono::nanoseconds period(1'000'000'000 / frequency_hz_);
  SetTimer(std::chrono::microseconds(0));
  while (g_sampling.inside.load() != 0) sched_yield();
  const Sample* samples = g_sampling.samples.load();
  const size_t count = samples != nullptr ? std::min(g_sampling.used.load(), kMaxSamples) : 0;
  std::map<std::vector<uintptr_t>, int64_t> stacks;
  for (const Sample& sample : std::span(samples, count)) {
    ++stacks[StackOf(sample)];
  }
  Stop();
  return EncodePprof(stacks, {start_, duration_, period});
}

}  // namespace ambit::observe
