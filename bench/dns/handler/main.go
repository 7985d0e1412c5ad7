// A plain handler on github.com/miekg/dns: a map from names to addresses, one UDP socket, TCP beside it. It
// is what one writes first, and the yardstick of the path that needs nothing but Node.
package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"os"
	"strings"

	"github.com/miekg/dns"
)

const ttlSeconds = 60

func main() {
	if len(os.Args) != 3 {
		log.Fatal("Usage: handler ADDR:PORT NAMES, a file of lines \"name address\"")
	}
	addresses, err := read(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	dns.HandleFunc(".", func(w dns.ResponseWriter, query *dns.Msg) { answer(w, query, addresses) })
	go serve(&dns.Server{Addr: os.Args[1], Net: "tcp", MaxTCPQueries: -1})
	serve(&dns.Server{Addr: os.Args[1], Net: "udp"})
}

func serve(server *dns.Server) {
	log.Fatal(server.ListenAndServe())
}

func read(path string) (map[string]net.IP, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	addresses := map[string]net.IP{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, address, found := strings.Cut(lines.Text(), " ")
		if !found {
			return nil, fmt.Errorf("expected \"name address\", not %q", lines.Text())
		}
		addresses[name+"."] = net.ParseIP(address)
	}
	return addresses, nil
}

func answer(w dns.ResponseWriter, query *dns.Msg, addresses map[string]net.IP) {
	reply := new(dns.Msg)
	reply.SetReply(query)
	reply.Authoritative = true
	question := query.Question[0]
	address, found := addresses[strings.ToLower(question.Name)]
	if !found {
		reply.Rcode = dns.RcodeNameError
	} else if question.Qtype == dns.TypeA {
		header := dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttlSeconds}
		reply.Answer = append(reply.Answer, &dns.A{Hdr: header, A: address})
	}
	if options := query.IsEdns0(); options != nil {
		reply.SetEdns0(1232, options.Do())
	}
	// Who does not hear it asks again.
	_ = w.WriteMsg(reply)
}
