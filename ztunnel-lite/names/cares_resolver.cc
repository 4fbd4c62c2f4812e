#include "ztunnel-lite/names/cares_resolver.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <mutex>
#include <span>
#include <thread>
#include <utility>

#include "lib/base/unique_fd.h"
#include "ztunnel-lite/names/address_cache.h"

namespace ambit::names {
namespace {

class CaresResolver final : public HostResolver {
 public:
  CaresResolver(const Clock& clock, ResolverOptions options)
      : clock_(clock), options_(std::move(options)), cache_(options_.cached_names) {}
  ~CaresResolver() override;
  Result<void> Start();

  std::unique_ptr<Question> Ask(const std::string& hostname, Done done) override;

 private:
  struct Waiting final : Question {
    Waiting(CaresResolver& resolver, std::string name, Done done)
        : resolver_(resolver), name_(std::move(name)), done_(std::move(done)) {}
    ~Waiting() override { resolver_.Withdraw(*this); }

    CaresResolver& resolver_;
    const std::string name_;
    const Done done_;
  };
  // What c-ares hands back with an answer.
  struct Call {
    CaresResolver* resolver;
    std::string name;
  };

  void Withdraw(const Waiting& question);
  void Wake() const;
  void Run();
  void BeginCalls();
  void Await();
  static void OnAnswer(void* argument, int status, int timeouts, ares_addrinfo* found);
  void Answer(const std::string& name, int status, const ares_addrinfo* found);

  const Clock& clock_;
  const ResolverOptions options_;
  UniqueFd wake_;
  ares_channel channel_ = nullptr;  // of the thread's alone
  std::mutex mutex_;
  AddressCache cache_;
  std::map<std::string, std::vector<Waiting*>> waiting_;  // names asked and not answered
  std::vector<std::string> new_names_;
  bool stopping_ = false;
  std::thread thread_;
};

Result<void> CaresResolver::Start() {
  wake_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return FailErrno(errno, "eventfd of the resolver");
  int status = ares_init(&channel_);
  if (status == ARES_SUCCESS && !options_.servers.empty()) {
    status = ares_set_servers_ports_csv(channel_, options_.servers.c_str());
  }
  if (status != ARES_SUCCESS) {
    return Fail(ErrorCode::kResourceExhausted,
                std::string("set up the resolver: ") + ares_strerror(status));
  }
  thread_ = std::thread([this] { Run(); });
  return {};
}

CaresResolver::~CaresResolver() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) {
    Wake();
    thread_.join();
  }
  if (channel_ != nullptr) ares_destroy(channel_);
}

std::unique_ptr<HostResolver::Question> CaresResolver::Ask(const std::string& hostname, Done done) {
  auto question = std::make_unique<Waiting>(*this, hostname, std::move(done));
  std::unique_lock lock(mutex_);
  if (const Addresses* known = cache_.Find(hostname, clock_.Steady())) {
    Addresses addresses = *known;
    lock.unlock();
    question->done_(std::move(addresses));
    return question;
  }
  auto& all = waiting_[hostname];
  all.push_back(question.get());
  if (all.size() > 1) return question;
  new_names_.push_back(hostname);
  Wake();
  return question;
}

void CaresResolver::Withdraw(const Waiting& question) {
  std::lock_guard lock(mutex_);
  auto found = waiting_.find(question.name_);
  if (found != waiting_.end()) std::erase(found->second, &question);
}

void CaresResolver::Wake() const {
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));
}

void CaresResolver::Run() {
  while (true) {
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    BeginCalls();
    Await();
  }
}

void CaresResolver::BeginCalls() {
  std::vector<std::string> names;
  {
    std::lock_guard lock(mutex_);
    names.swap(new_names_);
  }
  ares_addrinfo_hints hints{};
  // c-ares asks for both at once.
  hints.ai_family = options_.ipv6 ? AF_UNSPEC : AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NOSORT;
  for (auto& name : names) {
    auto call = std::make_unique<Call>(this, name);
    ares_getaddrinfo(channel_, name.c_str(), nullptr, &hints, OnAnswer, call.release());
  }
}

void CaresResolver::Await() {
  std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
  const int wanted = ares_getsock(channel_, sockets.data(), sockets.size());
  std::array<pollfd, ARES_GETSOCK_MAXNUM + 1> polled{};
  size_t count = 0;
  polled[count++] = {wake_.get(), POLLIN, 0};
  for (size_t i = 0; i < sockets.size(); ++i) {
    short events = 0;
    if (ARES_GETSOCK_READABLE(wanted, i)) events |= POLLIN;
    if (ARES_GETSOCK_WRITABLE(wanted, i)) events |= POLLOUT;
    if (events != 0) polled[count++] = {sockets[i], events, 0};
  }
  timeval space{};
  const timeval* next = ares_timeout(channel_, nullptr, &space);
  const int limit =
      next == nullptr ? -1 : static_cast<int>(next->tv_sec * 1000 + next->tv_usec / 1000 + 1);
  poll(polled.data(), count, limit);
  uint64_t woken = 0;
  (void)!read(wake_.get(), &woken, sizeof(woken));
  for (const pollfd& socket : std::span(polled).subspan(1, count - 1)) {
    const bool readable = (socket.revents & ~POLLOUT) != 0;
    ares_process_fd(channel_, readable ? socket.fd : ARES_SOCKET_BAD,
                    (socket.revents & POLLOUT) != 0 ? socket.fd : ARES_SOCKET_BAD);
  }
  // Time-outs, whatever is readable.
  ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

void CaresResolver::OnAnswer(void* argument, int status, int, ares_addrinfo* found) {
  std::unique_ptr<Call> call(static_cast<Call*>(argument));
  call->resolver->Answer(call->name, status, found);
  if (found != nullptr) ares_freeaddrinfo(found);
}

net::IpAddress AddressOf(const ares_addrinfo_node& node) {
  if (node.ai_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(node.ai_addr);
    return net::IpAddress::FromBytes(std::as_bytes(std::span(&v4->sin_addr, 1))).value();
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(node.ai_addr);
  return net::IpAddress::FromBytes(std::as_bytes(std::span(&v6->sin6_addr, 1))).value();
}

void CaresResolver::Answer(const std::string& name, int status, const ares_addrinfo* found) {
  Addresses addresses;
  int life = INT32_MAX;
  for (const auto* node = found == nullptr ? nullptr : found->nodes; node != nullptr;
       node = node->ai_next) {
    addresses.push_back(AddressOf(*node));
    life = std::min(life, node->ai_ttl);
  }
  Result<Addresses> answer = addresses;
  if (addresses.empty()) {
    answer = Fail(ErrorCode::kUnavailable,
                  "resolve " + name + ": " +
                      (status == ARES_SUCCESS ? "it has no address" : ares_strerror(status)));
  }
  std::lock_guard lock(mutex_);
  if (answer) cache_.Put(name, addresses, std::chrono::seconds(life), clock_.Steady());
  auto all = waiting_.extract(name);
  if (all.empty()) return;
  // Under the lock, which whoever withdraws a question waits for.
  for (const Waiting* question : all.mapped()) question->done_(answer);
}

}  // namespace

Result<std::unique_ptr<HostResolver>> StartCaresResolver(const Clock& clock,
                                                         ResolverOptions options) {
  auto resolver = std::make_unique<CaresResolver>(clock, std::move(options));
  if (auto started = resolver->Start(); !started) return std::unexpected(started.error());
  return resolver;
}

}  // namespace ambit::names
