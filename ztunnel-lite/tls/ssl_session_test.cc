#include "ztunnel-lite/tls/ssl_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ztunnel-lite/tls/test_credentials.h"

namespace ambit::tls {
namespace {

using ::testing::HasSubstr;

constexpr char kClient[] = "spiffe://cluster.local/ns/default/sa/client";
constexpr char kServer[] = "spiffe://cluster.local/ns/default/sa/server";

struct Collector : CipherSink {
  void Append(ByteSpan records) override {
    bytes.insert(bytes.end(), records.begin(), records.end());
  }
  Bytes Take() { return std::exchange(bytes, {}); }
  Bytes bytes;
};

struct Outcome {
  Result<bool> client = false;
  Result<bool> server = false;
};

// Two sessions joined in memory.
class Wire {
 public:
  Wire(CredentialPtr client, std::vector<std::string> expected, CredentialPtr server)
      : client_(std::move(*SslSession::Client(std::move(client), std::move(expected), to_server_))),
        server_(std::move(*SslSession::Server(std::move(server), to_client_))) {}

  // Until both are done or one has failed; the other then reads the alert.
  Outcome Run() {
    Outcome outcome;
    for (int turn = 0; turn < 6; ++turn) {
      if (outcome.client && !*outcome.client) outcome.client = client_->Handshake();
      const Bytes up = to_server_.Take();
      server_->SetInput(up);
      if (outcome.server && !*outcome.server) outcome.server = server_->Handshake();
      down_ = to_client_.Take();
      client_->SetInput(down_);
      if (outcome.client && *outcome.client) {
        std::byte none[1];
        if (auto read = client_->Read(none); !read) outcome.client = Fail(read.error());
      }
    }
    return outcome;
  }
  SslSession& client() { return *client_; }
  SslSession& server() { return *server_; }
  Bytes TakeUp() { return to_server_.Take(); }

 private:
  Collector to_server_, to_client_;
  Bytes down_;  // the client's input, until its next turn
  std::unique_ptr<SslSession> client_, server_;
};

std::string Text(const Result<bool>& result) {
  return result ? (*result ? "done" : "waiting") : result.error().message();
}

TEST(SslSessionTest, BothSidesLearnTheOthersIdentity) {
  TestMeshCa ca;
  Wire wire(ca.Credential({.uri = kClient}), {kServer}, ca.Credential({.uri = kServer}));
  const Outcome outcome = wire.Run();
  EXPECT_EQ(Text(outcome.client), "done");
  EXPECT_EQ(Text(outcome.server), "done");
  EXPECT_EQ(wire.client().peer_identity(), kServer);
  EXPECT_EQ(wire.server().peer_identity(), kClient);
}

TEST(SslSessionTest, AMegabyteIsManyRecordsAndArrivesWhole) {
  TestMeshCa ca;
  Wire wire(ca.Credential({.uri = kClient}), {kServer}, ca.Credential({.uri = kServer}));
  wire.Run();
  Bytes sent(1 << 20);
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<std::byte>(i * 7 >> 3);
  ASSERT_TRUE(wire.client().Write(sent));
  const Bytes records = wire.TakeUp();
  Bytes received;
  std::vector<std::byte> buffer(20000);
  // In odd pieces, as TCP cuts them.
  for (size_t at = 0; at < records.size(); at += 9973) {
    const size_t size = std::min<size_t>(9973, records.size() - at);
    wire.server().SetInput(ByteSpan(records).subspan(at, size));
    while (true) {
      auto read = wire.server().Read(buffer);
      ASSERT_TRUE(read);
      if (*read == 0) break;
      received.insert(received.end(), buffer.begin(),
                      buffer.begin() + static_cast<ptrdiff_t>(*read));
    }
  }
  EXPECT_EQ(received, sent);
}

TEST(SslSessionTest, AClientOfAnotherTrustDomainIsToldApartByName) {
  TestMeshCa ca;
  Wire wire(ca.Credential({.uri = "spiffe://other.org/ns/default/sa/client"}), {kServer},
            ca.Credential({.uri = kServer}));
  const Outcome outcome = wire.Run();
  ASSERT_FALSE(outcome.server);
  EXPECT_EQ(outcome.server.error().code(), ErrorCode::kPermissionDenied);
  EXPECT_THAT(Text(outcome.server), HasSubstr("other.org"));
  EXPECT_THAT(Text(outcome.server), HasSubstr("cluster.local"));
  ASSERT_FALSE(outcome.client);
  EXPECT_EQ(outcome.client.error().code(), ErrorCode::kPermissionDenied);
  EXPECT_THAT(Text(outcome.client), HasSubstr("refused the certificate of"));
}

TEST(SslSessionTest, AServerWithAnotherIdentityIsRefusedWithBothNames) {
  TestMeshCa ca;
  Wire wire(ca.Credential({.uri = kClient}), {"spiffe://cluster.local/ns/default/sa/db"},
            ca.Credential({.uri = kServer}));
  const Outcome outcome = wire.Run();
  ASSERT_FALSE(outcome.client);
  EXPECT_EQ(outcome.client.error().code(), ErrorCode::kPermissionDenied);
  EXPECT_THAT(Text(outcome.client), HasSubstr("presented " + std::string(kServer)));
  EXPECT_THAT(Text(outcome.client), HasSubstr("expected spiffe://cluster.local/ns/default/sa/db"));
}

TEST(SslSessionTest, AnEmptyListOfExpectedIdentitiesMatchesNobody) {
  TestMeshCa ca;
  Wire wire(ca.Credential({.uri = kClient}), {}, ca.Credential({.uri = kServer}));
  EXPECT_THAT(Text(wire.Run().client), HasSubstr("expected none"));
}

TEST(SslSessionTest, AnExpiredClientIsRefusedWithItsTime) {
  TestMeshCa ca;
  using std::chrono::hours;
  Wire wire(ca.Credential({.uri = kClient, .valid_from = hours(-3), .valid_to = hours(-2)}),
            {kServer}, ca.Credential({.uri = kServer}));
  EXPECT_THAT(Text(wire.Run().server), HasSubstr(std::string(kClient) + " expired at"));
}

TEST(SslSessionTest, ACertificateOfAnUnknownCaIsRefusedByBothSides) {
  TestMeshCa ca, stranger;
  Wire inbound(stranger.Credential({.uri = kClient}, ca.root_pem()), {kServer},
               ca.Credential({.uri = kServer}));
  EXPECT_THAT(Text(inbound.Run().server), HasSubstr("unknown CA"));
  Wire outbound(ca.Credential({.uri = kClient}), {kServer},
                stranger.Credential({.uri = kServer}, ca.root_pem()));
  EXPECT_THAT(Text(outbound.Run().client), HasSubstr("unknown CA"));
}

TEST(SslSessionTest, ACertificateForTheOtherSideOnlyIsRefused) {
  TestMeshCa ca;
  Wire wire(ca.Credential({.uri = kClient, .key_usage = "serverAuth"}), {kServer},
            ca.Credential({.uri = kServer}));
  EXPECT_THAT(Text(wire.Run().server), HasSubstr("extended key usage"));
}

TEST(SslSessionTest, EveryRootOfTheBundleIsAnAnchor) {
  TestMeshCa first, second;
  const std::string both = first.root_pem() + second.root_pem();
  Wire wire(first.Credential({.uri = kClient}, both), {kServer},
            second.Credential({.uri = kServer}, both));
  const Outcome outcome = wire.Run();
  EXPECT_EQ(Text(outcome.client), "done");
  EXPECT_EQ(Text(outcome.server), "done");
}

class BareClient {
 public:
  explicit BareClient(const unsigned char* alpn, unsigned alpn_size)
      : context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_.get())) {
    if (alpn_size > 0) SSL_set_alpn_protos(ssl_.get(), alpn, alpn_size);
    transport_.sink = &out_;
    BIO* bio = MakeRecordBio(transport_).release();
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_connect_state(ssl_.get());
  }
  Result<bool> Against(SslSession& server, Collector& from_server) {
    Result<bool> outcome = false;
    for (int turn = 0; turn < 4 && outcome && !*outcome; ++turn) {
      SSL_do_handshake(ssl_.get());
      const Bytes up = out_.Take();
      server.SetInput(up);
      outcome = server.Handshake();
      input_ = from_server.Take();
      transport_.input = input_;
    }
    return outcome;
  }

 private:
  SslContextPtr context_;
  Collector out_;
  RecordTransport transport_;
  Bytes input_;
  SslPtr ssl_;
};

TEST(SslSessionTest, AClientWithoutCertificateIsRefused) {
  TestMeshCa ca;
  Collector to_client;
  auto server = SslSession::Server(ca.Credential({.uri = kServer}), to_client);
  BareClient client(nullptr, 0);
  EXPECT_THAT(Text(client.Against(**server, to_client)), HasSubstr("no certificate"));
}

TEST(SslSessionTest, AClientThatOffersOnlyHttp11IsRefused) {
  TestMeshCa ca;
  Collector to_client;
  auto server = SslSession::Server(ca.Credential({.uri = kServer}), to_client);
  const unsigned char alpn[] = "\x08http/1.1";
  BareClient client(alpn, 9);
  EXPECT_THAT(Text(client.Against(**server, to_client)), HasSubstr("lacks h2"));
}

TEST(SslSessionTest, GarbageInPlaceOfAHandshakeIsAProtocolError) {
  TestMeshCa ca;
  Collector to_client;
  auto server = SslSession::Server(ca.Credential({.uri = kServer}), to_client);
  (*server)->SetInput(AsBytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  auto outcome = (*server)->Handshake();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::kProtocol);
}

}  // namespace
}  // namespace ambit::tls
