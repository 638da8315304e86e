"""Between a strict client and franky-sim (1.0.4), a server of Franka's research interface:
python franky_sim_proxy.py LISTEN SERVER with two addresses of this machine, for example 127.0.0.9 127.0.0.1.

That server's answer to Connect is longer than the protocol's, its status as wide as the version, which libfranka
tolerates and others do not. This proxy lays every answer out in the protocol's size and passes everything else as it
is: requests, states and commands. It serves one client at a time per port, until it is killed.
"""

import select
import socket
import struct
import sys
import threading

# Port: header, bytes of the status, number of the function whose answer has a text behind the status.
PORTS = {1337: (struct.Struct("<III"), 1, 11), 1338: (struct.Struct("<HII"), 2, None)}
CONNECT = 0


def answer(layout, message):
    """One answer of the server in the protocol's size."""
    header, status, text = layout
    command, number, _ = header.unpack_from(message)
    payload = message[header.size :]
    if command == CONNECT:
        # The server has u16 for both numbers, on either port.
        code, version = struct.unpack_from("<HH", payload)
        payload = code.to_bytes(status, "little") + version.to_bytes(2, "little")
    elif command != text:
        payload = payload[:status]
    return header.pack(command, number, header.size + len(payload)) + payload


def connect(layout, message, port):
    """The client's Connect with another port for states."""
    header, _, _ = layout
    if header.unpack_from(message)[0] != CONNECT:
        return message
    return message[:-2] + port.to_bytes(2, "little")


class Messages:
    """Messages out of a stream."""

    def __init__(self, header):
        self.header, self.bytes = header, b""

    def take(self, received):
        self.bytes += received
        while len(self.bytes) >= self.header.size:
            size = self.header.unpack_from(self.bytes)[2]
            if len(self.bytes) < size:
                return
            message, self.bytes = self.bytes[:size], self.bytes[size:]
            yield message


def serve(client, server, layout):
    """One client until either side hangs up."""
    header = layout[0]
    for stream in (client, server):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    towards_client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    towards_client.bind((client.getsockname()[0], 0))
    towards_server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    towards_server.bind((server.getsockname()[0], 0))
    client_udp, server_udp = None, None
    requests, answers = Messages(header), Messages(header)
    sockets = [client, server, towards_client, towards_server]
    try:
        while True:
            for ready in select.select(sockets, [], [])[0]:
                if ready is client:
                    received = client.recv(65536)
                    if not received:
                        return
                    for message in requests.take(received):
                        if header.unpack_from(message)[0] == CONNECT:
                            port = int.from_bytes(message[-2:], "little")
                            client_udp = (client.getpeername()[0], port)
                        server.sendall(connect(layout, message, towards_server.getsockname()[1]))
                elif ready is server:
                    received = server.recv(65536)
                    if not received:
                        return
                    for message in answers.take(received):
                        client.sendall(answer(layout, message))
                elif ready is towards_server:
                    state, server_udp = towards_server.recvfrom(65536)
                    if client_udp:
                        towards_client.sendto(state, client_udp)
                elif ready is towards_client:
                    command, _ = towards_client.recvfrom(65536)
                    if server_udp:
                        towards_server.sendto(command, server_udp)
    except OSError as error:
        print(f"a connection ended: {error}", flush=True)
    finally:
        for each in sockets:
            each.close()


def listen(address, upstream, port):
    listener = socket.create_server((address, port))
    while True:
        client, _ = listener.accept()
        try:
            server = socket.create_connection((upstream, port))
        except OSError as error:
            print(f"no server at {upstream}:{port}: {error}", flush=True)
            client.close()
            continue
        serve(client, server, PORTS[port])


if __name__ == "__main__":
    for port in PORTS:
        threading.Thread(target=listen, args=(sys.argv[1], sys.argv[2], port)).start()
    print("ready", flush=True)
