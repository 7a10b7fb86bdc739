# Maintenance windows from your own calendar, as SUSE Manager and calendar servers export it: the events called SAP
# are windows, and so is each third Sunday. No host is started over Christmas, whatever the calendar says.
klp_campaign:
  windows:
    zone: Europe/Berlin
    calendar: /srv/calendars/maintenance.ics
    event: SAP
    open:
      - rrule: FREQ=MONTHLY;BYDAY=3SU
        from: '08:00'
        to: '24:00'
    freeze:
      - from: '2027-12-20'
        to: '2028-01-06'
      - '2027-11-26'
