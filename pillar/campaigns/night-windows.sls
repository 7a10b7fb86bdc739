# Nights in Germany, longer ones at the weekend. A host that is down at its turn is tried again for two days after the
# last wave. No host starts outside of a maintenance window; running hosts are finished.
klp_campaign:
  windows:
    zone: Europe/Berlin
    open:
      - days: [mon, tue, wed, thu]
        from: '22:00'
        to: '05:00'
      - days: [fri, sat]
        from: '20:00'
        to: '08:00'
  presence:
    late: 172800
  limits:
    unreachable_percent: 25
    duration: 240
  max_age: 48
